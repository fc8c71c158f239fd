#include "tools/study/plan.hpp"

#include <fmt/format.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <tuple>

#include "tools/study/plan_space.hpp"
#include "tools/study/run.hpp"

namespace stagesim {
namespace {

constexpr std::size_t kBatch = 64;  // choices replayed before the bests are looked at again

struct Candidate {
  const PlanSetting* setting = nullptr;
  ScheduleSpec schedule{};
};

struct Outcome {
  enum class Kind : std::uint8_t { kFits, kTooLarge, kMismatch, kRefused } kind = Kind::kRefused;
  Plan plan{};
  std::string reason{};
};

class Planner {
 public:
  Planner(PlanSpace space, const PlanOptions& options)
      : space_(std::move(space)),
        options_(options),
        schedules_(plan_schedules(options.schedules)) {}

  PlanResult run() {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                    static_cast<std::size_t>(options_.threads));
    if (options_.objective != PlanObjective::kGpus) {
      search(space_.nodes);
      return finish();
    }
    for (int nodes = 1; nodes <= space_.nodes; ++nodes) {
      best_.clear();
      without_.clear();
      least_gib_.clear();
      search(nodes);
      std::erase_if(best_, [&](const auto& entry) {
        if (entry.second.step_ms <= options_.deadline_ms) return false;
        without_[entry.first] = fmt::format("its best step takes {:.3f} ms", entry.second.step_ms);
        return true;
      });
      if (!best_.empty()) {
        result_.notes.push_back(
            fmt::format("{} of {} nodes meet the deadline", nodes, space_.nodes));
        break;
      }
    }
    return finish();
  }

 private:
  void search(int nodes) {
    std::size_t refused = 0;
    const std::vector<PlanSetting> settings = plan_settings(space_, nodes, refused);
    std::vector<Candidate> candidates;
    for (const PlanSetting& setting : settings)
      for (const ScheduleSpec& schedule : schedules_) candidates.push_back({&setting, schedule});
    result_.choices += candidates.size() + refused * schedules_.size();
    result_.refused += refused * schedules_.size();
    std::stable_sort(candidates.begin(), candidates.end(),
                     [&](const Candidate& a, const Candidate& b) { return bound(a) < bound(b); });
    for (std::size_t next = 0; next < candidates.size();) {
      if (options_.cancelled != nullptr && *options_.cancelled) {
        result_.notes.emplace_back("interrupted: not all choices were looked at");
        return;
      }
      std::vector<Candidate> batch;
      for (; next < candidates.size() && batch.size() < kBatch; ++next) {
        if (worth_replaying(candidates[next]))
          batch.push_back(candidates[next]);
        else
          ++result_.pruned;
      }
      std::vector<Outcome> outcomes(batch.size());
      tbb::parallel_for(std::size_t{0}, batch.size(),
                        [&](std::size_t i) { outcomes[i] = outcome_of(batch[i]); });
      for (Outcome& outcome : outcomes) take(std::move(outcome));
    }
  }

  double room(const PlanSetting& setting) const {
    return (1 - options_.headroom) * setting.scenario.gpu->memory_gib.value;
  }

  double bound(const Candidate& c) const {
    return options_.objective == PlanObjective::kMemory ? c.setting->bound_gib
                                                        : c.setting->bound_ms;
  }

  bool worth_replaying(const Candidate& c) const {
    if (!options_.prune) return true;
    if (c.setting->bound_gib > room(*c.setting)) return false;
    const auto best = best_.find(c.schedule.name);
    return best == best_.end() || bound(c) <= value(best->second);
  }

  double value(const Plan& plan) const {
    return options_.objective == PlanObjective::kMemory ? plan.summary.peak_memory_gib
                                                        : plan.ms_per_sample;
  }

  // Of equals the one that a person would take: fewer splits.
  bool better(const Plan& a, const Plan& b) const {
    const auto key = [&](const Plan& p) {
      return std::tuple(value(p), p.ms_per_sample, p.summary.peak_memory_gib, p.choice.pipeline,
                        p.choice.tensor, p.choice.micro, p.choice.recompute != "none",
                        p.choice.partition != "even", p.choice.schedule.text());
    };
    return key(a) < key(b);
  }

  Outcome outcome_of(const Candidate& candidate) const {
    Outcome outcome;
    const Scenario& s = candidate.setting->scenario;
    Plan& plan = outcome.plan;
    plan.choice = candidate.setting->choice;
    plan.choice.schedule = candidate.schedule;
    try {
      const Run run = run_schedule(s, candidate.schedule);
      const ScheduleResult& r = run.result;
      plan.layers = run.layers;
      plan.data = s.data;
      plan.gpus = s.ranks * s.data * s.split.gpus();
      plan.step_ms = to_ms(r.step_time);
      plan.ms_per_sample = plan.step_ms / s.samples();
      plan.bubble = r.bubble.bubble;
      plan.mfu = r.mfu.value_or(0);
      plan.summary = summary_of(r);
      plan.capacity_gib = s.gpu->memory_gib.value;
      const bool mismatch = options_.most_mismatch >= 0 &&
                            std::abs(plan.summary.max_mismatch) > options_.most_mismatch;
      outcome.kind = mismatch ? Outcome::Kind::kMismatch
                     : plan.summary.peak_memory_gib > room(*candidate.setting)
                         ? Outcome::Kind::kTooLarge
                         : Outcome::Kind::kFits;
    } catch (const InputError& error) {
      outcome.reason = error.what();
    }
    return outcome;
  }

  void take(Outcome outcome) {
    const std::string name = outcome.plan.choice.schedule.name;
    Plan& plan = outcome.plan;
    if (outcome.kind == Outcome::Kind::kRefused) {
      ++result_.refused;
      without_.try_emplace(name, "refused: " + outcome.reason);
      return;
    }
    ++result_.replayed;
    if (outcome.kind == Outcome::Kind::kFits) {
      const auto [entry, fresh] = best_.try_emplace(name, plan);
      if (!fresh && better(plan, entry->second)) entry->second = plan;
      return;
    }
    if (outcome.kind == Outcome::Kind::kMismatch) {
      without_[name] =
          fmt::format("mismatch {}, {} allowed", plan.summary.max_mismatch, options_.most_mismatch);
      return;
    }
    ++result_.too_large;
    double& least = least_gib_.try_emplace(name, plan.summary.peak_memory_gib).first->second;
    least = std::min(least, plan.summary.peak_memory_gib);
    without_[name] = fmt::format("does not fit: the least that was found takes {:.2f} GiB", least);
  }

  PlanResult finish() {
    for (auto& [name, plan] : best_) {
      without_.erase(name);
      plan.input = input_of(space_, plan.choice);
      plan.input.json["schedule"] = plan.choice.schedule.text();
      result_.best.push_back(std::move(plan));
    }
    for (const ScheduleSpec& spec : schedules_) {
      if (best_.count(spec.name) == 0)
        without_.try_emplace(spec.name, "does not fit: weights and gradients alone are too large");
    }
    std::sort(result_.best.begin(), result_.best.end(),
              [&](const Plan& a, const Plan& b) { return better(a, b); });
    result_.without = std::move(without_);
    return std::move(result_);
  }

  PlanSpace space_;
  const PlanOptions& options_;
  std::vector<ScheduleSpec> schedules_;
  std::map<std::string, Plan> best_{};  // [schedule]
  std::map<std::string, std::string> without_{};
  std::map<std::string, double> least_gib_{};
  PlanResult result_{};
};

}  // namespace

std::string PlanChoice::text() const {
  return fmt::format("pipeline {}, tensor {}, micro-batch {}, recompute {}, layers {}, {}",
                     pipeline, tensor, micro, recompute, partition, schedule.text());
}

PlanResult plan(const ScenarioInput& base, const PlanOptions& options) {
  return Planner(plan_space(base), options).run();
}

}  // namespace stagesim
