// cluster.node is short for other keys of the cluster and nothing more.

#include <algorithm>

#include "hwmodels/node_type.hpp"
#include "tests/support/catch.hpp"
#include "tests/tools/scenario_text.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

std::string model(const std::string& cluster, const char* comm = "{}") {
  return R"({"model": {"preset": "gpt-1.3b"}, "parallel": {"pipeline": 8},
             "batch": {"micro": 1, "microbatches": 8}, "cluster": {)" +
         cluster + R"(}, "comm": )" + comm + "}";
}

std::string keys_of(const NodeType& node) {
  return R"("gpu": ")" + node.gpu + R"(", "gpus_per_node": )" +
         std::to_string(static_cast<int>(node.gpus_per_node.value)) + R"(, "intra": ")" +
         node.intra + R"(", "inter": ")" + node.inter + "\"";
}

}  // namespace

TEST_CASE("each node type gives the replay of the keys that it stands for", "[scenario][node]") {
  for (const ProfileLine& line : list_node_types()) {
    INFO(line.name);
    const std::string name = R"("node": ")" + line.name + R"(", "nodes": 2)";
    const std::string long_form = keys_of(node_type(line.name)) + R"(, "nodes": 2)";
    for (const char* schedule : {"1f1b", "amdp"}) {
      const Run a = run_schedule(read(model(name)), parse_schedule_spec(schedule));
      const Run b = run_schedule(read(model(long_form)), parse_schedule_spec(schedule));
      CHECK(a.result.step_time == b.result.step_time);
      CHECK(a.timeline.start == b.timeline.start);
      CHECK(a.timeline.end == b.timeline.end);
      CHECK(a.assumptions == b.assumptions);
    }
    // All that the scenario says beyond the long form is what the node stands for.
    const Scenario short_one = read(model(name)), long_one = read(model(long_form));
    REQUIRE(short_one.assumptions.size() == long_one.assumptions.size() + 1);
    CHECK(std::equal(long_one.assumptions.begin(), long_one.assumptions.end(),
                     short_one.assumptions.begin() + 1));
    CHECK_THAT(short_one.assumptions[0], contains("node " + line.name + ": short for cluster.gpu"));
  }
}

TEST_CASE("where messages share network cards, a node type says how many it has",
          "[scenario][node]") {
  const char* fair = R"({"sharing": "fair"})";
  for (const ProfileLine& line : list_node_types()) {
    INFO(line.name);
    const NodeType& node = node_type(line.name);
    const int cards =
        static_cast<int>(std::min(node.nics_per_node.value, node.gpus_per_node.value));
    const std::string name = R"("node": ")" + line.name + R"(", "nodes": 2)";
    const std::string long_form =
        keys_of(node) + R"(, "nodes": 2, "nics_per_node": )" + std::to_string(cards);
    const Run a = run_schedule(read(model(name, fair)), parse_schedule_spec("1f1b"));
    const Run b = run_schedule(read(model(long_form, fair)), parse_schedule_spec("1f1b"));
    CHECK(a.result.step_time == b.result.step_time);
    CHECK(a.timeline.end == b.timeline.end);
    CHECK(read(model(name, fair)).nics_per_node == cards);
    CHECK(read(model(name)).nics_per_node == 0);
  }
  CHECK_THAT(problems_of(model(R"("node": "p4d", "nics_per_node": 8)", fair)),
             contains("s.json: cluster.nics_per_node: 8 contradicts cluster.node 'p4d', whose "
                      "nics_per_node is 4"));
}

TEST_CASE("keys beside a node may say the same, not something else", "[scenario][node][errors]") {
  CHECK(problems_of(model(R"("node": "dgx-a100", "gpu": "a100-sxm-80gb", "gpus_per_node": 8)")) ==
        "");
  CHECK(problems_of(model(R"("node": "dgx-a100", "gpu": "h100-sxm-80gb", "gpus_per_node": 4)")) ==
        "s.json: cluster.gpu: \"h100-sxm-80gb\" contradicts cluster.node 'dgx-a100', whose gpu is "
        "\"a100-sxm-80gb\"; leave one of the two out: instead of the node, write gpu, "
        "gpus_per_node, intra and inter\n"
        "s.json: cluster.gpus_per_node: 4 contradicts cluster.node 'dgx-a100', whose gpus_per_node "
        "is 8; leave one of the two out: instead of the node, write gpu, gpus_per_node, intra and "
        "inter");
  CHECK(
      problems_of(model(R"("node": "dgx-a100", "p2p": {"latency_us": 1})")) ==
      "s.json: cluster.p2p: a plain link replaces the links of node type 'dgx-a100'; leave one of "
      "the two out, or write \"gpu\": \"a100-sxm-80gb\", \"gpus_per_node\": 8 instead of the "
      "node");
}

TEST_CASE("an unknown node type is answered with the nearest", "[scenario][node][errors]") {
  const std::string problem = problems_of(model(R"("node": "dgx-h10")"));
  CHECK_THAT(
      problem,
      contains("s.json: cluster.node: unknown node type 'dgx-h10' (did you mean 'dgx-h100'?); "
               "known: dgx-1-v100, dgx-a100"));
  CHECK(problems_of(model(R"("node": 5)")) ==
        "s.json: cluster.node: expected the name of a node type, got 5");
  CHECK(problems_of(model(R"("node": "no/such.json")")) ==
        "s.json: cluster.node: 'no/such.json': cannot open the profile");
  const Origins typed{{"cluster.node", "--set cluster.node=dgx-h10"}};
  CHECK_THAT(problems_of(model(R"("node": "dgx-h10")"), typed),
             contains("--set cluster.node=dgx-h10: unknown node type"));
}

TEST_CASE("a node's size is the cluster's", "[scenario][node]") {
  const Scenario s = read(model(R"("node": "dgx-h100", "nodes": 4)"));
  CHECK(s.gpus_per_node == 8);
  CHECK(s.data == 4);  // 32 GPUs / 8 ranks
  CHECK(s.json["cluster"]["gpu"] == "h100-sxm-80gb");
  CHECK(s.json["cluster"]["node"] == "dgx-h100");
  // What was resolved reads again: nothing in it contradicts.
  CHECK_NOTHROW(read_scenario(s.json, "again.json", {}));
}
