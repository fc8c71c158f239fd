#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>

#include "hwmodels/node_type.hpp"
#include "hwmodels/profile.hpp"
#include "sim/base/json_fields.hpp"
#include "sim/base/names.hpp"
#include "tools/stagesim/command.hpp"
#include "tools/stagesim/input.hpp"
#include "tools/stagesim/model_sheet.hpp"
#include "tools/stagesim/sheet_text.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

constexpr const char* kHelp =
    "usage: stagesim show profile|link|node|model NAME [--format text|json]\n\n"
    "Prints every number with its unit, its kind (measured, log, spec or assumed; of a model "
    "given, "
    "default or derived),\nits fit error and its source. NAME is one of 'stagesim list', or a "
    "file:\n"
    "  profile  a GPU with its links, or a link between nodes\n"
    "  link     a link by name, of every GPU that has it\n"
    "  node     a node type, cluster.node of a scenario\n"
    "  model    a preset, a config.json of Hugging Face, or a launch script of Megatron-LM\n\n";

po::options_description show_options() {
  po::options_description options("Options");
  options.add_options()("what", po::value<std::vector<std::string>>(),
                        "kind and name; --what may be left out")(
      "format", po::value<std::string>()->default_value("text"), "text or json")("help",
                                                                                 "this text");
  return options;
}

std::vector<Sheet> profile_sheets(const std::string& name) {
  const bool path = name.ends_with(".json");
  const std::string text = path ? profile_text(name) : "";
  bool gpu = path && parse_json(text, name).contains("gpu"), found = path;
  std::vector<std::string> known;
  for (const ProfileLine& line : list_profiles()) {
    known.push_back(line.name);
    gpu = gpu || (line.name == name && line.kind == "gpu");
    found = found || line.name == name;
  }
  if (gpu) return {sheet_of(gpu_profile(name))};
  if (found) return {sheet_of(link_profile(GpuProfile{}, name))};
  throw InputError(unknown_name("profile", name, known));
}

// "nvlink4" is a link of several GPUs, each with its own times.
std::vector<Sheet> link_sheets(const std::string& name) {
  std::vector<Sheet> sheets;
  std::vector<std::string> known;
  if (name.ends_with(".json")) {
    if (!parse_json(profile_text(name), name).contains("gpu"))
      return {sheet_of(link_profile(GpuProfile{}, name))};
    for (const LinkProfile& link : gpu_profile(name).links) sheets.push_back(sheet_of(link));
    if (sheets.empty()) throw InputError(fmt::format("{}: this GPU profile has no links", name));
    return sheets;
  }
  const auto consider = [&](const LinkProfile& link, const std::string& gpu) {
    if (std::find(known.begin(), known.end(), link.name) == known.end()) known.push_back(link.name);
    if (link.name != name) return;
    sheets.push_back(sheet_of(link));
    if (!gpu.empty()) sheets.back().names.push_back({"of", gpu});
  };
  for (const ProfileLine& line : list_profiles()) {
    if (line.kind == "link") {
      consider(link_profile(GpuProfile{}, line.name), "");
      continue;
    }
    for (const LinkProfile& link : gpu_profile(line.name).links) consider(link, line.name);
  }
  if (sheets.empty()) throw InputError(unknown_name("link", name, known));
  return sheets;
}

std::vector<Sheet> sheets_of(const std::string& kind, const std::string& name) {
  if (kind == "profile") return profile_sheets(name);
  if (kind == "link") return link_sheets(name);
  if (kind == "node") return {sheet_of(node_type(name))};
  if (kind == "model") return {model_sheet(name)};
  throw InputError("stagesim show: " +
                   unknown_name("kind", kind, {"profile", "link", "node", "model"}));
}

Answer show(const std::vector<std::string>& args, std::ostream& out, std::ostream&) {
  const po::variables_map vm = parse_args("show", args, show_options(), "what", -1);
  if (vm.count("help")) {
    out << kHelp << show_options()
        << "\nexamples\n"
           "  stagesim show profile a100-sxm-80gb\n"
           "  stagesim show link nvlink4\n"
           "  stagesim show node dgx-a100\n"
           "  stagesim show model llama-3-8b --format json\n";
    return Answer::kYes;
  }
  const auto what =
      vm.count("what") ? vm["what"].as<std::vector<std::string>>() : std::vector<std::string>{};
  if (what.size() != 2)
    throw InputError(fmt::format(
        "stagesim show: expected profile, link, node or model and one name, got {} words",
        what.size()));
  const auto format = vm["format"].as<std::string>();
  if (format != "text" && format != "json")
    throw InputError(fmt::format("--format: expected text or json, got '{}'", format));
  const std::vector<Sheet> sheets = sheets_of(what[0], what[1]);
  if (format == "json") {
    print_sheets_json(out, sheets);
    return Answer::kYes;
  }
  for (const Sheet& sheet : sheets) {
    if (&sheet != &sheets.front()) fmt::print(out, "\n");
    print_sheet(out, sheet);
  }
  return Answer::kYes;
}

}  // namespace

const Command kShowCommand{"show", "every number of a profile, link, node type or model", show};

}  // namespace stagesim
