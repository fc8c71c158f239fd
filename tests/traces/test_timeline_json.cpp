#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"
#include "traces/timeline_json.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

TimelineFile file_of(const Schedule& schedule, const Costs& costs) {
  TimelineFile file{.name = "a \"name\"",
                    .schedule = schedule.name,
                    .made_by = "replay",
                    .scenario = R"({"batch":{"microbatches":8}})",
                    .scale = 0.1,
                    .batch = schedule.shape.microbatches,
                    .warm_windows = 0,
                    .measured_windows = 0,
                    .comm = costs.comm,
                    .barrier = costs.barrier,
                    .reduced_stages = {},
                    .order = schedule,
                    .timeline = replay(lower(schedule, costs))};
  for (std::size_t s = 0; s < costs.stages.size(); ++s) {
    if (costs.stages[s].reduce.count() > 0) file.reduced_stages.push_back(int(s));
  }
  return file;
}

std::string text_of(const TimelineFile& file) {
  std::ostringstream out;
  write_timeline(out, file);
  return out.str();
}

Costs costs_of(const Shape& shape) {
  Costs costs = unit_costs(shape.stages, 1, 2, 0.25);
  for (StageCosts& c : costs.stages) {
    c.input_grad = c.weight_grad = units(1);
    c.step = units(0.5);
  }
  costs.stages[0].reduce = units(0.125);
  return costs;
}

// A small file, changed.
std::string changed(const std::function<void(nlohmann::json&)>& change) {
  const Schedule s = make({"1f1b", 2, 2});
  nlohmann::json json = nlohmann::json::parse(text_of(file_of(s, costs_of(s.shape))));
  change(json);
  return json.dump();
}

void check_refused(const std::function<void(nlohmann::json&)>& change, const std::string& why) {
  CHECK_THROWS_WITH(read_timeline(changed(change), "t.json"), contains(why));
}

}  // namespace

TEST_CASE("a timeline comes back as it was, of every schedule", "[traces][timeline]") {
  for (const ScheduleInfo& info : schedule_table()) {
    INFO(info.name);
    const Schedule s = make({std::string(info.name), 4, 8, 2});
    Costs costs = costs_of(s.shape);
    costs.barrier = !s.shape.forward_only;
    const TimelineFile file = file_of(s, costs);
    const TimelineFile back = read_timeline(text_of(file), "t.json");
    CHECK(back.name == file.name);
    CHECK(back.schedule == file.schedule);
    CHECK(back.made_by == file.made_by);
    CHECK(back.scenario == file.scenario);
    CHECK(back.scale == file.scale);
    CHECK(back.batch == file.batch);
    CHECK(back.barrier == file.barrier);
    CHECK(back.reduced_stages == file.reduced_stages);
    CHECK(schedule_text(back.order) == schedule_text(file.order));
    CHECK(back.timeline.what->op == file.timeline.what->op);
    CHECK(back.timeline.start == file.timeline.start);
    CHECK(back.timeline.end == file.timeline.end);
    CHECK(text_of(back) == text_of(file));
  }
}

TEST_CASE("blocking groups come back as such", "[traces][timeline]") {
  const Schedule s = make({"amdp", 4, 8, 2});
  Costs costs = costs_of(s.shape);
  costs.comm = CommMode::kBlocking;
  const TimelineFile file = file_of(s, costs);
  const TimelineFile back = read_timeline(text_of(file), "t.json");
  CHECK(back.comm == CommMode::kBlocking);
  CHECK(back.timeline.end == file.timeline.end);
}

TEST_CASE("what is no timeline, or another version's", "[traces][timeline][errors]") {
  CHECK_THROWS_WITH(read_timeline("[]", "t.json"), contains("t.json: not a timeline"));
  CHECK_THROWS_WITH(read_timeline("{", "t.json"), contains("t.json:1: not valid JSON"));
  const std::string whole = changed([](nlohmann::json&) {});
  CHECK_THROWS_WITH(read_timeline(whole.substr(0, whole.size() / 2), "t.json"),
                    contains("t.json:1: not valid JSON"));
  check_refused([](nlohmann::json& j) { j["stagesim_timeline"] = 2; },
                "stagesim_timeline: expected a whole number from 1 to 1, got 2");
  check_refused([](nlohmann::json& j) { j["made"] = 2; }, "unknown field 'made'");
  check_refused([](nlohmann::json& j) { j.erase("ops"); }, "ops: expected a list, got null");
  check_refused([](nlohmann::json& j) { j["order"] = 7; },
                "order: expected a list of lines, got 7");
  check_refused([](nlohmann::json& j) { j["order"].erase(3); }, "t.json: order");
}

TEST_CASE("every op and message once, and ranks in order", "[traces][timeline][errors]") {
  check_refused([](nlohmann::json& j) { j["ops"].erase(1); },
                "t.json: 0F1 on rank 0 is in the order and has no times");
  check_refused([](nlohmann::json& j) { j["ops"].push_back(j["ops"][0]); },
                "0F0 on rank 0 for the second time");
  check_refused([](nlohmann::json& j) { j["ops"][0][0] = "0F9"; },
                "ops[0]: 0F9 on rank 0 is not in the order");
  check_refused([](nlohmann::json& j) { j["messages"][0][1] = 1; }, "is not in the order");
  check_refused([](nlohmann::json& j) { j["ops"][0][2] = 0.5; },
                "ops[0]: expected [cell, rank, start, end] with times in whole nanoseconds");
  check_refused([](nlohmann::json& j) { j["ops"][1][3] = -1; }, "ops[1]: expected [cell");
  check_refused([](nlohmann::json& j) { j["messages"][0].erase(4); },
                "messages[0]: expected [cell, from rank, to rank, start, end]");
  check_refused([](nlohmann::json& j) { j["ops"][0][2] = 5'000; },
                "0F0 on rank 0 ends at 1000 ns, before its start at 5000 ns");
  check_refused([](nlohmann::json& j) { j["ops"][1][2] = 500; },
                "0F1 on rank 0 starts at 500 ns, before 0F0 on rank 0 has ended at 1000 ns");
}

TEST_CASE("many problems are counted, not all printed", "[traces][timeline][errors]") {
  const Schedule s = make({"gpipe", 4, 16});
  nlohmann::json json = nlohmann::json::parse(text_of(file_of(s, costs_of(s.shape))));
  json["ops"] = nlohmann::json::array();
  // 4 x 16 F and B each, 4 steps and the reduction of stage 0.
  CHECK_THROWS_WITH(read_timeline(json.dump(), "t.json"), contains("113 more problems like these"));
}
