// What a scenario file may say, and what it is told when it is wrong: whole texts, because they are
// all that a user has.

#include "tests/support/catch.hpp"
#include "tests/tools/scenario_text.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

// A batch said as global and micro, on GPUs said as a cluster.
std::string sized(int gpus, int pipeline, int global, int micro) {
  return R"({"model": {"stage_times": {"F": 1, "B": 2}}, "cluster": {"gpus_per_node": )" +
         std::to_string(gpus) + R"(}, "parallel": {"pipeline": )" + std::to_string(pipeline) +
         R"(}, "batch": {"global": )" + std::to_string(global) + R"(, "micro": )" +
         std::to_string(micro) + "}}";
}

std::string gpt(const std::string& parallel, const std::string& cluster) {
  return R"({"model": {"preset": "gpt-1.5b"}, "parallel": )" + parallel +
         R"(, "cluster": {"gpu": "a800-sxm-80gb", )" + cluster +
         R"(}, "batch": {"micro": 1, "microbatches": 8}})";
}

}  // namespace

TEST_CASE("every ready-made scenario reads, has a summary and is found by its name", "[scenario]") {
  REQUIRE(!list_scenarios().empty());
  for (const ScenarioLine& line : list_scenarios()) {
    CHECK(!line.summary.empty());
    const Scenario s =
        read_scenario(parse_json(scenario_text(line.name), line.name), line.name, {});
    CHECK(s.name == line.name);
    CHECK(!s.schedule.name.empty());
  }
}

TEST_CASE("a misspelt scenario name is answered with the nearest one", "[scenario][errors]") {
  CHECK_THROWS_WITH(
      scenario_text("unit-p4-m9"),
      "unknown scenario 'unit-p4-m9' (did you mean 'unit-p4-m8'?); known: "
      "field-p4-m8, gpt-1.5b-8xa800, unit-p4-m8, unit-p8-m8 (and there is no such file)");
  CHECK_THROWS_WITH(scenario_text("missing/s.json"), contains("missing/s.json: cannot read"));
}

TEST_CASE("a schedule with parameters reads back to the text it came from", "[scenario]") {
  const ScheduleSpec spec = parse_schedule_spec("amdp:preload=1:optimizer=replicated");
  CHECK(spec.name == "amdp");
  CHECK(spec.options.at("preload") == "1");
  CHECK(spec.text() == "amdp:optimizer=replicated:preload=1");
  CHECK(parse_schedule_spec("1f1b").options.empty());
  CHECK_THROWS_WITH(
      parse_schedule_spec("amdp:preload"),
      "schedule 'amdp:preload': expected name:parameter=value, got 'preload' after the colon");
  CHECK_THROWS_WITH(parse_schedule_spec("amdp:preload=1:preload=2"),
                    "schedule 'amdp:preload=1:preload=2': parameter 'preload' is given twice");
}

TEST_CASE("a scenario may name its schedule with parameters in one string or in fields",
          "[scenario]") {
  const Scenario one = read(unit(4, 8, R"(, "schedule": "amdp:preload=1")"));
  const Scenario two = read(unit(4, 8, R"(, "schedule": {"name": "amdp", "preload": 1})"));
  CHECK(one.schedule.text() == two.schedule.text());
  CHECK(read(unit(4, 8)).schedule.name.empty());
}

// JIA-Lab-research/Seg-Zero#65, mosaicml/examples#41 and verl-project/verl#1793.
TEST_CASE("a batch is global / (micro x copies), and never truncated", "[scenario][errors]") {
  const Scenario s = read(sized(8, 4, 12, 2));
  CHECK(s.data == 2);
  CHECK(s.batch == 3);
  CHECK(s.batch_from == "batch.global 12 / (batch.micro 2 x data-parallel copies 2)");

  CHECK(problems_of(sized(16, 1, 16, 4)) ==
        "s.json: batch.global: batch.global 16 / (batch.micro 4 x data-parallel copies 16) = 0.25 "
        "micro-batches, expected a whole number; use 64");
  CHECK(problems_of(sized(8, 4, 10, 2)) ==
        "s.json: batch.global: batch.global 10 / (batch.micro 2 x data-parallel copies 2) = 2.5 "
        "micro-batches, expected a whole number; use 8 or 12");
  CHECK(problems_of(sized(8, 8, 0, 1)) ==
        "s.json: batch.global: expected a whole number from 1 to 2147483647, got 0");
  CHECK_THAT(problems_of(sized(6, 4, 8, 1)),
             contains("s.json: parallel.pipeline: 6 GPUs (cluster.nodes 1 x gpus_per_node 6) / "
                      "(parallel.pipeline 4 x tensor 1) = 1.5 data-parallel copies, expected a "
                      "whole number"));
}

TEST_CASE("a batch said twice must agree", "[scenario][errors]") {
  const auto both = [](int global) {
    return R"({"model": {"stage_times": {"F": 1, "B": 2}}, "parallel": {"pipeline": 4, "data": 2},
               "batch": {"microbatches": 8, "micro": 2, "global": )" +
           std::to_string(global) + "}}";
  };
  CHECK(read(both(32)).batch == 8);
  CHECK(problems_of(both(31)) ==
        "s.json: batch.global: 31 does not agree with batch.microbatches 8 x batch.micro 2 x "
        "data-parallel copies 2 = 32; give one of the two");
}

TEST_CASE("GPUs that the shape does not use, or does not have, are an error",
          "[scenario][errors]") {
  CHECK_THAT(problems_of(
                 gpt(R"({"pipeline": 4, "data": 1})", R"("gpus_per_node": 8, "intra": "nvlink3")")),
             contains("parallel.pipeline 4 x tensor 1 x data 1 = 4 GPUs, but the cluster has 8 "
                      "(nodes 1 x gpus_per_node 8)"));
  CHECK(read(gpt(R"({"pipeline": 4})", R"("gpus_per_node": 8, "intra": "nvlink3")")).data == 2);
  CHECK(read(gpt("{}", R"("gpus_per_node": 8, "intra": "nvlink3")")).ranks == 8);
}

// ooples/AiDotNet#845: the field itself, never what follows from it.
TEST_CASE("a wrong basic value is named with its range", "[scenario][errors]") {
  const auto ranks = [](const std::string& value) {
    return problems_of(R"({"model": {"stage_times": {"F": 1, "B": 2}}, "parallel": {"pipeline": )" +
                       value + R"(}, "batch": {"microbatches": 8}})");
  };
  for (const std::string value : {"0", "-1", "1.5", "\"four\"", "null", "99999"}) {
    CHECK(ranks(value) ==
          "s.json: parallel.pipeline: expected a whole number from 1 to 16384, got " + value);
  }
  CHECK(ranks("1").empty());
  CHECK(ranks("4.0").empty());
  const auto forward = [](const std::string& value) {
    return problems_of(R"({"model": {"stage_times": {"B": 2, "F": )" + value +
                       R"(}}, "parallel": {"pipeline": 2}, "batch": {"microbatches": 8}})");
  };
  CHECK_THAT(forward("-1"), contains("s.json: model.stage_times.F: expected a number from 0 to"));
  CHECK_THAT(forward("\"NaN\""), contains("s.json: model.stage_times.F: expected a number"));
  CHECK_THAT(forward("[1, 2, 3]"), contains("s.json: model.stage_times.F: expected 2 entries"));
  CHECK_THAT(forward("[1, -2]"),
             contains("s.json: model.stage_times.F: entry 1: expected a number"));
}

TEST_CASE("what was typed on the command line is named instead of the file", "[scenario][errors]") {
  CHECK_THAT(problems_of(unit(0, 8), {{"parallel.pipeline", "--ranks"}}),
             contains("--ranks: expected a whole number from 1 to 16384, got 0"));
  CHECK(problems_of(unit(4, 8, R"(, "run": {"stps": 1})"), {{"run.stps", "--set run.stps"}}) ==
        "--set run.stps: unknown field 'stps' (did you mean 'steps'?); known: barrier, steps");
}

TEST_CASE("all unknown fields of a file are reported at once, with the nearest names",
          "[scenario][errors]") {
  const std::string text = problems_of(R"({
    "model": {"stage_times": {"F": 1, "B": 2, "unti": "ms"}}, "parallel": {"pipeline": 4, "date": 1},
    "batch": {"microbatches": 8}, "scheduel": "1f1b", "cluster": {"p2p": {"latency": 5}}})");
  CHECK_THAT(text, contains("unknown field 'unti' (did you mean 'unit'?)"));
  CHECK_THAT(text, contains("unknown field 'date' (did you mean 'data'?)"));
  CHECK_THAT(text, contains("unknown field 'scheduel' (did you mean 'schedule'?)"));
  CHECK_THAT(text, contains("unknown field 'latency' (did you mean 'latency_us'?)"));
}

TEST_CASE("a required field that is misspelt is reported as missing and as unknown",
          "[scenario][errors]") {
  const std::string text = problems_of(
      R"({"model": {"stage_times": {"F": 1, "B": 2}}, "parallel": {"pipeline": 4}, "batch": {"microbatchs": 8}})");
  CHECK_THAT(text, contains("s.json: batch: missing field 'microbatches'"));
  CHECK_THAT(text, contains("unknown field 'microbatchs' (did you mean 'microbatches'?)"));
}

TEST_CASE("an unknown GPU is one problem, not several", "[scenario][errors]") {
  const std::string text = problems_of(
      R"({"model": {"preset": "gpt-1.5b"}, "parallel": {"pipeline": 8}, "batch": {"microbatches": 8},
          "cluster": {"gpu": "a800", "intra": "nvlink3"}})");
  CHECK_THAT(
      text,
      contains("s.json: cluster.gpu: unknown GPU profile 'a800' (did you mean 'a800-sxm-80gb'?)"));
  CHECK(text.find('\n') == std::string::npos);
}

TEST_CASE("a tensor split must fit heads, MLP and node, and needs their link",
          "[scenario][errors]") {
  const auto split = [](int tensor, const std::string& model, const std::string& cluster) {
    return problems_of(R"({"model": {"layers": 8, "hidden": 768, "vocab": 1000, "seq": 256, )" +
                       model + R"(}, "parallel": {"pipeline": 2, "tensor": )" +
                       std::to_string(tensor) +
                       R"(}, "batch": {"microbatches": 8}, "cluster": {"gpu": "a100-sxm-80gb", )" +
                       cluster + "}}");
  };
  const std::string node = R"("gpus_per_node": 8, "intra": "nvlink3")";
  CHECK(split(4, R"("heads": 8)", node).empty());
  CHECK_THAT(split(4, R"("heads": 2)", node),
             contains("s.json: parallel.tensor: 4 GPUs cannot share 2 heads (model.heads) evenly"));
  CHECK_THAT(split(4, R"("heads": 8, "ffn": 2050)", node),
             contains("cannot share 2050 columns of the MLP (model.ffn) evenly"));
  CHECK_THAT(split(4, R"("heads": 24, "kv_heads": 6)", node),
             contains("cannot share 6 heads of keys and values"));
  CHECK(split(4, R"("heads": 8, "kv_heads": 2)", node).empty());
  CHECK_THAT(split(4, R"("heads": 8)",
                   R"("nodes": 4, "gpus_per_node": 2, "intra": "nvlink3", "inter": "hdr200x8")"),
             contains("4 GPUs of a split must lie in one node, and nodes have 2"));
  CHECK_THAT(split(4, R"("heads": 8)", R"("gpus_per_node": 8)"),
             contains("a split over 4 GPUs needs cluster.intra"));
}

TEST_CASE("what is not modelled is refused, not ignored", "[scenario][errors]") {
  const auto parallel = [](const char* more) {
    return problems_of(
        R"({"model": {"stage_times": {"F": 1, "B": 2}}, "parallel": {"pipeline": 4, )" +
        std::string(more) + R"(}, "batch": {"microbatches": 8}})");
  };
  CHECK_THAT(parallel(R"("tensor": 2)"), contains("s.json: parallel.tensor: expected 1, got 2"));
  CHECK_THAT(parallel(R"("sequence_parallel": true)"), contains("needs parallel.tensor above 1"));
  CHECK(parallel(R"("virtual": 2)").empty());
  CHECK_THAT(
      parallel(R"("virtual": 1025)"),
      contains("s.json: parallel.virtual: expected a whole number from 1 to 1024, got 1025"));
  CHECK_THAT(problems_of(unit(4, 8, R"(, "comm": {"mode": "explicit"})")),
             contains("s.json: comm.mode: expected one of overlapped, blocking, got 'explicit'"));
}

TEST_CASE("layers that do not divide come with the arithmetic and a way out",
          "[scenario][errors]") {
  const auto layers = [](const std::string& partition) {
    return problems_of(
        R"({"model": {"preset": "gpt-1.5b", "layers": 61}, "parallel": {"pipeline": 8},
      "cluster": {"gpu": "a800-sxm-80gb", "intra": "nvlink3"}, "batch": {"microbatches": 8},
      "partition": {"layers": )" +
        partition + "}}");
  };
  CHECK(layers("\"even\"") ==
        "s.json: partition.layers: 61 layers do not divide by 8 stages (61 = 8 x 7 + 5); give the "
        "layers per stage as a list that sums to 61, or \"balanced\"");
  CHECK_THAT(layers("[6, 6, 6, 6, 6, 6, 6, 6]"), contains("= 48, but the model has 61 layers"));
  CHECK_THAT(layers("[8, 8, 8]"), contains("s.json: partition.layers: expected 8 entries"));
  CHECK(layers("\"balanced\"").empty());
  CHECK(layers("\"Et*7|(t*8|)*5t*7|t*7L\"").empty());
  // NVIDIA/Megatron-LM#1852: offered for 61 layers, holds 59.
  CHECK(layers("\"Et|(tt|)*29L|\"") ==
        "s.json: partition.layers: layout \"Et|(tt|)*29L|\": 59 layers (t) in 32 stages, the model "
        "has 61: 59 != 61; nothing is on stage 31, counting from 0\n"
        "s.json: partition.layers: layout \"Et|(tt|)*29L|\": L must stand once, on the last stage; "
        "found 1 in all, 0 there\n"
        "s.json: partition.layers: layout \"Et|(tt|)*29L|\": 32 stages, expected 8 (pipeline 8 x "
        "virtual 1)");
  CHECK_THAT(layers("\"Et|(tt)*\""), contains("column 9: expected a whole number"));
}

TEST_CASE("stage times and a model exclude each other's fields", "[scenario][errors]") {
  const std::string text = problems_of(unit(4, 8, R"(, "partition": {"layers": 1})"));
  CHECK(text ==
        "s.json: partition.layers: explicit stage_times already say what each stage costs; leave "
        "one of the two out");
}

TEST_CASE("a model needs a GPU and its links", "[scenario][errors]") {
  CHECK_THAT(
      problems_of(
          R"({"model": {"preset": "gpt-1.5b"}, "parallel": {"pipeline": 8}, "batch": {"microbatches": 8}})"),
      contains("missing field 'cluster.gpu'"));
  CHECK_THAT(problems_of(gpt(R"({"pipeline": 8})", R"("gpus_per_node": 8)")),
             contains("missing field 'cluster.intra'"));
  CHECK_THAT(problems_of(gpt(R"({"pipeline": 8})",
                             R"("nodes": 2, "gpus_per_node": 8, "intra": "nvlink3")")),
             contains("missing field 'cluster.inter'"));
  CHECK_THAT(
      problems_of(gpt(R"({"pipeline": 8})", R"("intra": "nvlink3", "p2p": {"latency_us": 1})")),
      contains("a plain link replaces intra and inter"));
}

TEST_CASE("times are read in their unit", "[scenario]") {
  const auto forward = [](const std::string& unit_name) {
    return read(R"({"model": {"stage_times": {"F": [1.5, 2], "B": 2, "unit": ")" + unit_name +
                R"("}}, "parallel": {"pipeline": 2}, "batch": {"microbatches": 2}})")
        .stages.costs[0]
        .forward;
  };
  CHECK(forward("s") == Nanos(1'500'000'000));
  CHECK(forward("ms") == Nanos(1'500'000));
  CHECK(forward("us") == Nanos(1'500));
  CHECK(forward("ns") == Nanos(2));  // rounded
}

TEST_CASE("a split backward is I + W unless B says otherwise", "[scenario]") {
  const auto backward = [](const std::string& times) {
    return read(R"({"model": {"stage_times": )" + times +
                R"(}, "parallel": {"pipeline": 2}, "batch": {"microbatches": 2}})")
        .stages.costs[1];
  };
  CHECK(backward(R"({"F": 1, "I": 1, "W": [0.5, 0.75]})").backward == Nanos(1'750'000));
  CHECK(backward(R"({"F": 1, "I": 1, "W": 1, "B": 3})").backward == Nanos(3'000'000));
  CHECK_THROWS_WITH(backward(R"({"F": 1, "I": 1})"), contains("missing field 'W'"));
}

TEST_CASE("a plain link takes latency + bytes / rate", "[scenario][network]") {
  const Scenario s = read(R"({
    "model": {"stage_times": {"F": 1, "B": 2}, "stage_bytes": {"message": [1e6, 2e6]}},
    "cluster": {"p2p": {"latency_us": 2.5, "gb_per_s": 25}},
    "parallel": {"pipeline": 2}, "batch": {"microbatches": 2}})");
  REQUIRE(s.links.size() == 1);
  CHECK(s.links[0].latency == Nanos(2'500));
  CHECK(s.links[0].transfer_time ==
        std::vector<Nanos>{Nanos(42'500), Nanos(82'500)});  // 1 MB / 25 GB/s = 40 us
  CHECK_THAT(s.assumptions, Catch::Matchers::VectorContains(
                                std::string("p2p: 2.5 us latency, 25 GB/s (cluster.p2p, as given); "
                                            "one message at a time per link direction")));
}

TEST_CASE("pipeline ranks are placed with the data-parallel copies side by side",
          "[scenario][network]") {
  const std::string network =
      R"("nodes": 2, "gpus_per_node": 8, "intra": "nvlink3", "inter": "hdr200x8")";
  const Scenario wide = read(gpt(R"({"pipeline": 16})", network));
  CHECK(wide.data == 1);
  CHECK(wide.ranks_per_node == 8);
  const Scenario copies = read(gpt(R"({"pipeline": 8})", network));
  CHECK(copies.data == 2);
  CHECK(copies.ranks_per_node == 4);
  REQUIRE(copies.links.size() == 2);
  // Ranks 3 and 4 are on different nodes: the slower link.
  CHECK(copies.links[1].transfer_time[0] > copies.links[0].transfer_time[0]);
  CHECK(
      read(gpt(R"({"pipeline": 8})", R"("gpus_per_node": 8, "intra": "nvlink3")")).ranks_per_node ==
      0);
}

TEST_CASE("copies inside a node reduce over its link, replicas across nodes over the network",
          "[scenario][network]") {
  const std::string network =
      R"("nodes": 2, "gpus_per_node": 8, "intra": "nvlink3", "inter": "hdr200x8")";
  const auto reduce_link = [&](const std::string& parallel, const std::string& schedule) {
    for (const std::string& line :
         run_schedule(read(gpt(parallel, network)), parse_schedule_spec(schedule)).assumptions) {
      if (line.find("of nvlink3") != std::string::npos) return "nvlink3";
      if (line.find("of hdr200x8") != std::string::npos) return "hdr200x8";
    }
    return "none";
  };
  CHECK(std::string(reduce_link(R"({"pipeline": 2})", "1f1b")) ==
        "nvlink3");  // 8 copies side by side
  CHECK(std::string(reduce_link(R"({"pipeline": 1})", "1f1b")) == "hdr200x8");  // 16 copies
  CHECK(std::string(reduce_link(R"({"pipeline": 8})", "amdp")) ==
        "hdr200x8");  // replicas on both nodes
  CHECK_THAT(problems_of(
                 gpt(R"({"pipeline": 4, "data": 3})",
                     R"("nodes": 3, "gpus_per_node": 4, "intra": "nvlink3", "inter": "hdr200x8")")),
             contains("parallel.data: 3 copies of a rank do not fill nodes of 4 GPUs evenly"));
}

TEST_CASE("two nodes need both links, explicit times or not", "[scenario][network][errors]") {
  const auto text = [](const std::string& link) {
    return R"({"model": {"stage_times": {"F": 1, "B": 2}}, "parallel": {"pipeline": 4}, "batch": {"microbatches": 8},
               "cluster": {"gpu": "a800-sxm-80gb", "nodes": 2, "gpus_per_node": 2, )" +
           link + "}}";
  };
  CHECK(problems_of(text(R"("intra": "nvlink3")")) ==
        "s.json: missing field 'cluster.inter': which network joins the 2 nodes");
  CHECK(problems_of(text(R"("inter": "hdr200x8")")) ==
        "s.json: missing field 'cluster.intra': which link joins the GPUs of a node (nvlink3; or "
        "give "
        "cluster.p2p)");
}

TEST_CASE("more activation after I than before is impossible", "[scenario][errors]") {
  CHECK_THAT(problems_of(R"({"model": {"stage_times": {"F": 1, "B": 2},
                             "stage_bytes": {"activation": 10, "activation_after_I": [4, 11]}},
                             "parallel": {"pipeline": 2}, "batch": {"microbatches": 2}})"),
             contains("activation_after_I: stage 1: 11 bytes stay after I, more than the whole "
                      "activation of 10"));
}

TEST_CASE("what is wrong in two sections is reported together", "[scenario][errors]") {
  const std::string text = problems_of(
      R"({"model": {"stage_times": {"F": 1, "B": 2}}, "parallel": {"pipeline": 0}, "batch": {"microbatches": -3},
          "run": {"steps": 0}})");
  CHECK(text ==
        "s.json: parallel.pipeline: expected a whole number from 1 to 16384, got 0\n"
        "s.json: batch.microbatches: expected a whole number from 1 to 100000000, got -3\n"
        "s.json: run.steps: expected a whole number from 1 to 1000000, got 0");
}
