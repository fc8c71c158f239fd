#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "hwmodels/profile.hpp"
#include "hwmodels/profile_files.hpp"
#include "sim/base/embedded.hpp"
#include "sim/base/json_fields.hpp"
#include "sim/base/names.hpp"

namespace stagesim {

extern const EmbeddedFile kEmbeddedProfiles[];

namespace {

// Every profile built into the program, read once.
struct Library {
  std::vector<ProfileLine> lines;
  std::vector<GpuProfile> gpus;
  std::vector<LinkProfile> links;

  Library() {
    for (const EmbeddedFile* file = kEmbeddedProfiles; file->name != nullptr; ++file) {
      const std::string name = std::string(file->name) + ".json";
      if (parse_json(file->text, name).contains("link")) {
        const LinkProfile& link = links.emplace_back(parse_link_profile(file->text, name));
        lines.push_back({link.name, "link", link.summary});
      } else {
        const GpuProfile& gpu = gpus.emplace_back(parse_gpu_profile(file->text, name));
        lines.push_back({gpu.name, "gpu", gpu.summary});
      }
    }
  }
};

const Library& library() {
  static const Library result;
  return result;
}

}  // namespace

bool is_profile_path(std::string_view name) { return name.ends_with(".json"); }

std::string profile_file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(fmt::format("'{}': cannot open the profile", path));
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (file.bad()) throw InputError(fmt::format("'{}': cannot read the profile", path));
  return text;
}

std::string profile_text(std::string_view name) {
  if (is_profile_path(name)) return profile_file_text(std::string(name));
  std::vector<std::string> known;
  for (const EmbeddedFile* file = kEmbeddedProfiles; file->name != nullptr; ++file) {
    if (name == file->name) return file->text;
    known.emplace_back(file->name);
  }
  throw InputError(unknown_name("profile", name, known));
}

std::vector<ProfileLine> list_profiles() { return library().lines; }

const GpuProfile& gpu_profile(std::string_view name) {
  if (is_profile_path(name)) return profile_from_file<GpuProfile>(name, parse_gpu_profile);
  std::vector<std::string> known;
  for (const GpuProfile& gpu : library().gpus) {
    if (gpu.name == name) return gpu;
    known.push_back(gpu.name);
  }
  throw InputError(unknown_name("GPU profile", name, known));
}

const LinkProfile& link_profile(const GpuProfile& gpu, std::string_view name) {
  if (is_profile_path(name)) return profile_from_file<LinkProfile>(name, parse_link_profile);
  std::vector<std::string> known;
  for (const std::vector<LinkProfile>* links : {&gpu.links, &library().links}) {
    for (const LinkProfile& link : *links) {
      if (link.name == name) return link;
      known.push_back(link.name);
    }
  }
  throw InputError(unknown_name(fmt::format("link of {}", gpu.name), name, known));
}

}  // namespace stagesim
