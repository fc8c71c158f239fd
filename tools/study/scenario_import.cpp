#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "hwmodels/hf_config.hpp"
#include "hwmodels/megatron_args.hpp"
#include "tools/study/scenario_parts.hpp"

namespace stagesim {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kLargestFile = 1 << 20;  // a config.json has a few KB

struct TextFile {
  std::string name, text;
};

// `path` as said in the scenario `file`, or on the command line: then relative to where we are.
TextFile read_text(const std::string& path, const std::string& file, bool typed) {
  const fs::path full = typed ? fs::path(path) : fs::path(file).parent_path() / path;
  const std::string name = full.string();
  std::error_code error;
  const fs::file_status status = fs::status(full, error);
  if (!fs::exists(status)) throw InputError(fmt::format("there is no file '{}'", name));
  if (!fs::is_regular_file(status))
    throw InputError(fmt::format("'{}' is no regular file; expected a text file", name));
  const std::uintmax_t size = fs::file_size(full, error);
  if (error || size > kLargestFile)
    throw InputError(
        fmt::format("'{}' has {} bytes, expected at most {}", name, size, kLargestFile));
  errno = 0;
  std::ifstream in(full, std::ios::binary);
  if (!in) throw InputError(fmt::format("cannot read '{}': {}", name, std::strerror(errno)));
  return {name, {std::istreambuf_iterator<char>(in), {}}};
}

// Sets what the scenario leaves open; a section that is there but no object is reported later.
bool set_default(Json& scenario, const ScenarioDefault& one) {
  const std::size_t dot = one.path.find('.');
  if (dot == std::string::npos) {
    if (scenario.contains(one.path)) return false;
    scenario[one.path] = one.value;
    return true;
  }
  const std::string section = one.path.substr(0, dot), key = one.path.substr(dot + 1);
  Json& object = scenario[section];
  if (object.is_null()) object = Json::object();
  if (!object.is_object() || object.contains(key)) return false;
  const bool counted = object.contains("microbatches") || object.contains("sizes");
  if (one.path == "batch.global" && counted) return false;
  object[key] = one.value;
  return true;
}

void import_hf(const TextFile& file, ModelImport& to) {
  ModelFile read = read_hf_config(file.text, file.name);
  to.base = std::move(read.model);
  to.longest = read.longest;
  to.notes = std::move(read.notes);
}

void import_megatron(const TextFile& file, Json& scenario, Origins& origins, ModelImport& to) {
  MegatronLaunch launch = read_megatron_args(file.text, file.name);
  to.base = std::move(launch.file.model);
  to.longest = launch.file.longest;
  std::vector<std::string> taken, not_taken;
  for (const ScenarioDefault& one : launch.defaults) {
    if (!set_default(scenario, one)) {
      not_taken.push_back(one.from);
      continue;
    }
    origins[one.path] = fmt::format("{}: {} ({})", file.name, one.from, one.path);
    taken.push_back(fmt::format("{} {} ({})", one.path, one.value.dump(), one.from));
  }
  if (!taken.empty()) to.notes.push_back(fmt::format("{}", fmt::join(taken, ", ")));
  if (!not_taken.empty()) {
    to.notes.push_back(
        fmt::format("the scenario says otherwise than, or as, {}", fmt::join(not_taken, ", ")));
  }
  to.notes.insert(to.notes.end(), launch.file.notes.begin(), launch.file.notes.end());
}

}  // namespace

ModelImport import_model(Json& scenario, const std::string& file, Origins& origins,
                         Problems& problems) {
  ModelImport to;
  const auto found = scenario.find("model");
  if (found == scenario.end() || !found->is_object() || found->contains("stage_times")) return to;
  std::vector<std::string> given;
  for (const char* key : {"preset", "hf_config", "megatron_args"}) {
    if (found->contains(key)) given.emplace_back(key);
  }
  if (given.empty() || given == std::vector<std::string>{"preset"}) return to;
  const std::string key = given.back(), path = "model." + key;
  const std::string where = JsonSource{file, origins, &problems}.where(path);
  const Json value = (*found)[key];
  if (given.size() > 1) {
    problems.add("{}: give one of preset, hf_config and megatron_args, got {}", where,
                 fmt::join(given, ", "));
  } else if (!value.is_string()) {
    problems.add("{}: expected the path of a file, got {}", where, short_text(value));
  } else {
    const auto text = value.get<std::string>();
    to.key = key;
    try {
      const bool line = key == "megatron_args" && text.find("--") != std::string::npos;
      const TextFile from =
          line ? TextFile{path, text} : read_text(text, file, origins.count(path) > 0);
      to.from = from.name;
      if (key == "hf_config") {
        import_hf(from, to);
      } else {
        import_megatron(from, scenario, origins, to);
      }
    } catch (const InputError& error) {
      problems.add("{}: {}", where, error.what());
    }
  }
  // What else is wrong with the scenario may be for want of what the file would have said.
  problems.throw_if_any();
  return to;
}

}  // namespace stagesim
