// What holds for every file of hwmodels/profiles and hwmodels/nodes, read from the source tree.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "hwmodels/node_type.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/json_schema.hpp"

namespace stagesim {
namespace {

namespace fs = std::filesystem;

Json json_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  INFO(path.string());
  REQUIRE(file);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  return parse_json(text, path.filename().string());
}

std::vector<fs::path> files_of(const std::string& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(fs::path(STAGESIM_HWMODELS) / folder)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".json") && !name.ends_with(".schema.json")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  REQUIRE(files.size() > 10);
  return files;
}

// Paths of numbers that no object on the way says the origin of. Every number of a profile has kind
// and source beside it, or beside the list it is in.
void without_origin(const Json& json, const std::string& path, bool covered,
                    std::vector<std::string>& found) {
  if (json.is_number() && !covered) found.push_back(path);
  if (json.is_object()) {
    const bool own = json.contains("from") && json.contains("source") &&
                     !json.at("source").get<std::string>().empty();
    // Objects inside need their own: only plain values and lists of numbers are covered.
    for (const auto& [key, value] : json.items()) {
      const bool list_of_objects = value.is_array() && !value.empty() && value.front().is_object();
      without_origin(value, path + "/" + key, own && !value.is_object() && !list_of_objects, found);
    }
  }
  for (std::size_t i = 0; json.is_array() && i < json.size(); ++i)
    without_origin(json[i], path + "/" + std::to_string(i), covered, found);
}

std::vector<std::string> without_origin(const Json& json) {
  std::vector<std::string> found;
  without_origin(json, "", false, found);
  return found;
}

TEST_CASE("the check for numbers without an origin finds them", "[hwmodels][profile]") {
  const Json good = Json::parse(
      R"({"a": {"value": 1, "from": "spec", "source": "s"},
          "l": {"curve": [[1, 2]], "from": "log", "source": "s",
                "c": [{"n": 8, "from": "log", "source": "s"}]}})");
  CHECK(without_origin(good).empty());
  const Json bad = Json::parse(
      R"({"a": {"value": 1, "from": "spec"}, "b": 2, "e": {"value": 3, "from": "spec", "source": ""},
          "l": {"curve": [[1, 2]], "from": "log", "source": "s", "c": [{"n": 8}]}})");
  CHECK(without_origin(bad) == std::vector<std::string>{"/a/value", "/b", "/e/value", "/l/c/0/n"});
}

TEST_CASE("every profile file passes its schema, and every number has kind and source",
          "[hwmodels][profile]") {
  for (const auto& [folder, schema_name] :
       {std::pair<std::string, std::string>{"profiles", "profile"},
        std::pair<std::string, std::string>{"nodes", "node"}}) {
    const Json schema =
        json_of(fs::path(STAGESIM_HWMODELS) / folder / (schema_name + ".schema.json"));
    for (const fs::path& path : files_of(folder)) {
      INFO(path.string());
      const Json json = json_of(path);
      CHECK(test::schema_problems(json, schema) == std::vector<std::string>{});
      CHECK(without_origin(json) == std::vector<std::string>{});
      CHECK(json.at("name") == path.stem().string());
      CHECK_FALSE(json.at("summary").get<std::string>().empty());
    }
  }
}

TEST_CASE("the schema refuses what the reader refuses", "[hwmodels][profile]") {
  const fs::path folder = fs::path(STAGESIM_HWMODELS) / "profiles";
  const Json schema = json_of(folder / "profile.schema.json");
  const Json good = json_of(folder / "h100-sxm-80gb.json");
  const auto problems_with = [&](const char* pointer, const Json& value) {
    Json changed = good;
    changed[Json::json_pointer(pointer)] = value;
    const bool refused = !test::schema_problems(changed, schema).empty();
    CHECK_THROWS_AS(parse_gpu_profile(changed.dump(), "h.json"), InputError);
    return refused;
  };
  CHECK(problems_with("/gpu/memory_gib/value", 0));
  CHECK(problems_with("/gpu/matmul_efficiency/value", 1.1));
  CHECK(problems_with("/gpu/matmul_efficiency/from", "guessed"));
  CHECK(problems_with("/gpu/matmul_efficiency/source", ""));
  CHECK(problems_with("/gpu/kernel_efficiency/sofmax", good["gpu"]["memory_gib"]));
  CHECK(problems_with("/gpu/tflops", 1));
  CHECK(problems_with("/links/nvlink4/curve_bytes_us", Json::parse("[[1, 2]]")));
}

TEST_CASE("every file is built in, and no other", "[hwmodels][profile]") {
  const auto names_of = [](const std::vector<ProfileLine>& lines) {
    std::set<std::string> names;
    for (const ProfileLine& line : lines) names.insert(line.name);
    CHECK(names.size() == lines.size());
    return names;
  };
  const auto stems_of = [](const std::string& folder) {
    std::set<std::string> names;
    for (const fs::path& path : files_of(folder)) names.insert(path.stem().string());
    return names;
  };
  CHECK(names_of(list_profiles()) == stems_of("profiles"));
  CHECK(names_of(list_node_types()) == stems_of("nodes"));
}

TEST_CASE("what a node type names exists", "[hwmodels][node]") {
  for (const ProfileLine& line : list_node_types()) {
    INFO(line.name);
    const NodeType& node = node_type(line.name);
    const GpuProfile& gpu = gpu_profile(node.gpu);
    CHECK_NOTHROW(link_profile(gpu, node.intra));
    CHECK_NOTHROW(link_profile(GpuProfile{}, node.inter));  // between nodes: no GPU's own
    // Links within a node are faster than the network where GPUs have NVLink.
    if (node.intra.rfind("nvlink", 0) == 0) {
      CHECK(link_profile(gpu, node.intra).large_message_gb_per_s() >
            link_profile(gpu, node.inter).large_message_gb_per_s());
    }
  }
  CHECK(node_type("gb200-nvl72").gpus_per_node.value == 72);
  CHECK(node_type("p5").nics_per_node.value == 32);
}

TEST_CASE("what is wrong with a node type is said all at once", "[hwmodels][node][errors]") {
  const char* count = R"({"value": 8, "from": "spec", "source": "s"})";
  const auto json = [&](const std::string& gpus, const std::string& more) {
    return R"({"name": "n", "node": {"gpu": "g", "gpus_per_node": )" + gpus +
           R"(, "nics_per_node": )" + count + more + "}}";
  };
  CHECK(parse_node_type(json(count, R"(, "intra": "a", "inter": "b")"), "n.json").inter == "b");
  CHECK_THROWS_WITH(
      parse_node_type(
          json(R"({"value": 2.5, "from": "spec", "source": "s"})", R"(, "intra": "", "nics": 4)"),
          "n.json"),
      "n.json: node.gpus_per_node: expected a whole number, got 2.5\n"
      "n.json: node.intra: expected the name of a link, got \"\"\n"
      "n.json: node: missing field 'inter'\n"
      "n.json: node: unknown field 'nics' (did you mean 'nics_per_node'?); known: gpu, "
      "gpus_per_node, inter, intra, nics_per_node");
  CHECK_THROWS_WITH(parse_node_type(R"({"name": "n"})", "n.json"), "n.json: missing field 'node'");
}

}  // namespace
}  // namespace stagesim
