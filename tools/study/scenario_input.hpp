#pragma once

#include <string>

#include "tools/study/scenario.hpp"

namespace stagesim {

// The text of a scenario before it is read: what read_scenario() takes.
struct ScenarioInput {
  Json json = Json::object();
  std::string file{};
  Origins origins{}, options{};

  Scenario read() const { return read_scenario(json, file, origins, options); }
  // Overrides the key at `path`, "a.b.c", by what was typed as `origin`, as --set does.
  void set(const std::string& path, const std::string& value, const std::string& origin,
           const std::string& typed);
};

}  // namespace stagesim
