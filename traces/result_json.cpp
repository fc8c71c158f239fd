#include "traces/result_json.hpp"

#include <nlohmann/json.hpp>

namespace stagesim {
namespace {

using nlohmann::json;

json ranks_json(const ScheduleResult& r) {
  const bool known = r.memory_known;
  json ranks = json::array();
  for (std::size_t i = 0; i < r.bubble.ranks.size(); ++i) {
    const RankMemory& m = r.memory[i];
    json at_peak;
    for (std::size_t c = 0; c < kMemoryCategories; ++c) {
      at_peak[std::string(text(static_cast<MemoryCategory>(c)))] = gib(m.at_peak[c]);
    }
    ranks.push_back({{"rank", i},
                     {"busy_ms", to_ms(r.bubble.ranks[i].busy)},
                     {"idle_ms", to_ms(r.bubble.ranks[i].idle)},
                     {"peak_memory_gib", known ? json(gib(m.peak)) : json(nullptr)},
                     {"peak_at_ms", known ? json(to_ms(m.peak_at)) : json(nullptr)},
                     {"memory_at_peak", known ? at_peak : json(nullptr)},
                     {"peak_activations", m.peak_activations},
                     {"weight_copies", r.versions.copies_of_rank[i]}});
  }
  return ranks;
}

json stages_json(const ScheduleResult& r) {
  json stages = json::array();
  for (const StageVersions& s : r.versions.stages) {
    stages.push_back({{"pipeline", s.pipeline},
                      {"stage", s.stage},
                      {"rank", s.rank},
                      {"max_mismatch", s.max_mismatch},
                      {"mean_mismatch", s.mean_mismatch},
                      {"max_delay", s.max_delay},
                      {"mismatched_share", s.mismatched_share}});
  }
  return stages;
}

json schedule_json(const ScheduleResult& r) {
  json idle, path;
  const std::array<double, kIdleCauses> by_cause = idle_ms_by_cause(r.bubble);
  for (std::size_t c = 0; c < kIdleCauses; ++c) {
    idle[std::string(text(static_cast<IdleCause>(c)))] = by_cause[c];
  }
  for (std::size_t k = 0; k < r.critical_path.by_kind.size(); ++k) {
    const Nanos time = r.critical_path.by_kind[k];
    if (time.count() > 0) path[std::string(text(static_cast<OpKind>(k)))] = to_ms(time);
  }
  if (r.critical_path.waiting.count() > 0) path["waiting"] = to_ms(r.critical_path.waiting);
  return {{"name", r.name},
          {"step_time_ms", to_ms(r.step_time)},
          {"step_time_interval_ms", nullptr},  // comes with fit errors that propagate
          {"wall_ms", to_ms(r.wall)},
          {"span_ms", to_ms(r.span)},
          {"tokens_per_s", r.tokens_per_s > 0 ? json(r.tokens_per_s) : json(nullptr)},
          {"bubble", r.bubble.bubble},
          {"bubble_over_ideal", r.bubble.over_ideal},
          {"bubble_interval", text(r.bubble.interval.kind)},
          {"idle_ms", idle},
          {"ranks", ranks_json(r)},
          {"stages", stages_json(r)},
          {"microbatches", r.batch},
          {"window", r.shape.window},
          {"updates_per_batch", r.updates_per_batch},
          {"replayed_windows", r.shape.windows()},
          {"mfu", r.mfu ? json(*r.mfu) : json(nullptr)},
          {"fits", r.fits ? json(*r.fits) : json(nullptr)},
          {"limiting_stage",
           {{"stage", r.limiting.stage},
            {"rank", r.limiting.rank},
            {"busy_share", r.limiting.busy_share},
            {"over_mean", r.limiting.over_mean}}},
          {"critical_path", path},
          {"warnings", r.warnings}};
}

}  // namespace

json result_json(const json& scenario, const std::vector<std::string>& assumptions,
                 const std::vector<ScheduleResult>& results) {
  json out{{"schema_version", kResultSchemaVersion},
           {"scenario", scenario},
           {"assumptions", assumptions},
           {"schedules", json::array()}};
  for (const ScheduleResult& r : results) out["schedules"].push_back(schedule_json(r));
  return out;
}

}  // namespace stagesim
