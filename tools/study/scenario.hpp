#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/model.hpp"
#include "hwmodels/stage_costs.hpp"
#include "sim/base/json_fields.hpp"
#include "sim/costs.hpp"
#include "sim/memory.hpp"
#include "tools/study/variation.hpp"

namespace stagesim {

// A schedule by name with parameters, as a scenario or the command line says it:
// "amdp:preload=1:optimizer=replicated".
struct ScheduleSpec {
  std::string name;
  std::map<std::string, std::string> options;
  std::string text() const;
};
ScheduleSpec parse_schedule_spec(std::string_view text);
// "a,b:parameter=value,c", as --schedules takes it.
std::vector<ScheduleSpec> schedule_list(const std::string& text);

// How a transformer's layers go to the stages: a given list, the same number for each, the slowest
// stage as fast as can be, or the step of the schedule that runs as fast as can be.
enum class LayerSplit : std::uint8_t { kList, kEven, kBalanced, kFastest };

// What gives the costs of any number of stages per rank, which only a schedule knows.
struct StageSource {
  int virtual_stages = 1;  // stages per rank that Scenario::stages and ::pair are for
  bool per_rank = false;   // explicit costs: of the whole rank's share ("per": "rank")
  std::string listed;      // path of the first list with one entry per stage; empty: none
  LayerSplit split = LayerSplit::kEven;
  std::vector<int> layers;  // [stage]: the list; empty: none
  double launch_us = 0;     // host time per kernel
};

// cluster.p2p; an infinite rate is infinitely fast.
struct PlainLink {
  Nanos latency{};
  double gb_per_s = 0;
};

// A scenario with everything settled that does not depend on the schedule. Times are what one rank
// of one pipeline group sees; with data parallelism there are `data` such groups.
struct Scenario {
  std::string name;
  Json json;  // as read, overrides applied
  int ranks = 1, data = 1;
  bool shard_optimizer = false;      // parallel.zero 1
  StageSplit split;                  // GPUs of one rank; times and bytes are one GPU's
  bool tensor_overlap = true;        // see StagePlan
  int virtual_stages = 0;            // parallel.virtual, stages per rank; 0: not given
  int nodes = 1, gpus_per_node = 0;  // 0: not said
  int ranks_per_node = 0;            // of one pipeline group; 0: all on one node
  ScheduleSpec schedule;             // empty name: none given
  int micro = 1;                     // samples of the micro-batch that the costs are of
  int batch = 1;                     // micro-batches per pipeline group and step
  int samples() const { return batch * micro * data; }  // of a step, where all are of one size
  std::vector<double> microbatch_scale;  // [batch]: batch.sizes / micro; empty: all the same
  std::string batch_from;                // how batch came about, when it was not given
  int steps = 0;                         // 0: the schedule's default
  bool barrier = false;
  CommMode comm = CommMode::kOverlapped;
  Variation variation;
  bool fair_links = false;  // messages share ports and network cards
  OverlapTax overlap_tax;   // comm.overlap_tax
  int nics_per_node = 0;    // 0: not said, one for each GPU

  // For source.virtual_stages; of a run see stage_estimate.hpp. Updates still zero with a GPU.
  StageEstimate stages;
  bool split_given = true;                     // else I and W are half of B each
  std::vector<Nanos> pair;                     // [stage]: model.stage_times.FB; empty: not given
  RecomputeIn recompute = RecomputeIn::kNone;  // with explicit times; already in them
  StageSource source;
  std::vector<LinkClass> links;  // of `stages`
  std::optional<PlainLink> plain_link;
  std::optional<Model> model;       // else explicit stage times
  const GpuProfile* gpu = nullptr;  // null with explicit stage times and no cluster.gpu
  std::optional<LinkProfile> link_within, link_between;  // of a node, between nodes
  bool has_bytes = false;                                // memory is known
  std::vector<std::string> assumptions;                  // printed below every table
};

// Reads and checks everything; throws one InputError with all problems, each naming the file and
// field or what the user typed instead (origins). Without a file, `options` names what would give a
// missing path.
Scenario read_scenario(const Json& json, const std::string& file, const Origins& origins,
                       const Origins& options = {});

struct ScenarioLine {
  std::string name, summary;
};
std::vector<ScenarioLine> list_scenarios();

// Text of a scenario: a ready-made name, or a path. Throws InputError with the nearest ready-made
// name.
std::string scenario_text(const std::string& name_or_path);

}  // namespace stagesim
