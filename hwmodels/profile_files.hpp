#pragma once

#include <map>
#include <string>
#include <string_view>

// Profiles and node types from the user's disk.
namespace stagesim {

bool is_profile_path(std::string_view name);  // ends in ".json"

// Throws InputError: "'ours.json': cannot open the profile".
std::string profile_file_text(const std::string& path);

// Read once and kept as long as the built-in ones.
template <typename Profile>
const Profile& profile_from_file(std::string_view name,
                                 Profile (*parse)(std::string_view, const std::string&)) {
  static std::map<std::string, Profile, std::less<>> read;
  if (const auto known = read.find(name); known != read.end()) return known->second;
  const std::string path(name);
  return read.emplace(path, parse(profile_file_text(path), path)).first->second;
}

}  // namespace stagesim
