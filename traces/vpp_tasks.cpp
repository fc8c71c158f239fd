#include "traces/vpp_tasks.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/json_fields.hpp"

namespace stagesim {
namespace {

struct Task {
  std::string id{};
  ChunkToken token{};
  double duration_us = 0;
  std::vector<std::string> dependencies{};
};

class TaskReader {
 public:
  explicit TaskReader(const std::string& file) : file_(file) {}

  std::vector<RankTrace> read(const Json& document) {
    for (const auto& [key, list] : document.items()) {
      if (!list.is_array()) continue;
      for (std::size_t i = 0; i < list.size(); ++i) take(list[i], fmt::format("{}[{}]", key, i));
    }
    for (const auto& [rank, tasks] : of_rank_) {
      for (const Task& task : tasks) {
        for (const std::string& before : task.dependencies) {
          if (!ends_.count(before))
            problems_.add("{}: {} depends on '{}', which is not in the file", file_, task.id,
                          before);
        }
      }
    }
    problems_.throw_if_any();
    return run();
  }

 private:
  void take(const Json& json, const std::string& where) {
    if (!json.is_object()) return problems_.add("{}: {}: expected a task", file_, where);
    const std::size_t before = problems_.lines().size();
    JsonFields fields(json, source_, where);
    Task task;
    task.id = fields.string("task_id");
    task.token.kind = fields.one_of("task_type", {"forward", "backward"}) == "forward" ? 'F' : 'B';
    const auto rank = static_cast<int>(fields.integer("pp_rank", 0, kMostRanks));
    task.token.microbatch = static_cast<int>(fields.integer("microbatch_id", 0, kMost));
    task.token.chunk = static_cast<int>(fields.integer("model_chunk_id", 0, kMostRanks));
    task.duration_us = 1e3 * fields.number("duration", 0, 1e9);
    const Json& dependencies = fields.any("dependencies");
    if (!dependencies.is_null() && !dependencies.is_array())
      fields.wrong("dependencies", "a list of task ids");
    for (const Json& id : dependencies) {
      if (id.is_string())
        task.dependencies.push_back(id);
      else
        fields.problem("dependencies", "expected task ids, got {}", short_text(id));
    }
    if (problems_.lines().size() > before) return;
    if (!ends_.emplace(task.id, -1).second)
      problems_.add("{}: {}: task '{}' is there twice", file_, where, task.id);
    of_rank_[rank].push_back(std::move(task));
  }

  std::vector<RankTrace> run() {
    std::vector<RankTrace> traces;
    std::vector<std::pair<const std::vector<Task>*, std::size_t>> ranks;  // list, next
    for (const auto& [rank, tasks] : of_rank_) {
      traces.push_back({.file = file_, .rank = rank});
      ranks.emplace_back(&tasks, 0);
    }
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t r = 0; r < ranks.size(); ++r) {
        auto& [tasks, next] = ranks[r];
        for (; next < tasks->size() && start((*tasks)[next]) >= 0; ++next, moved = true)
          run_task((*tasks)[next], traces[r]);
      }
    }
    for (const auto& [tasks, next] : ranks) {
      if (next < tasks->size())
        problems_.add("{}: {} waits for a task that waits for it", file_, (*tasks)[next].id);
    }
    problems_.throw_if_any();
    return traces;
  }

  // When all that a task depends on has ended; negative where something has not.
  double start(const Task& task) const {
    double latest = 0;
    for (const std::string& before : task.dependencies) {
      const double end = ends_.at(before);
      if (end < 0) return end;
      latest = std::max(latest, end);
    }
    return latest;
  }

  void run_task(const Task& task, RankTrace& trace) {
    const double free = trace.ranges.empty() ? 0 : trace.ranges.back().end_us;
    const double begin = std::max(free, start(task)), end = begin + task.duration_us;
    trace.ranges.push_back({.token = fmt::format("{}{}.{}.0", task.token.kind,
                                                 task.token.microbatch, task.token.chunk),
                            .start_us = begin,
                            .end_us = end,
                            .clock = RangeClock::kStated});
    ends_[task.id] = end;
    ++trace.events;
  }

  static constexpr std::int64_t kMost = 1'000'000'000, kMostRanks = 1'000'000;
  const std::string& file_;
  Problems problems_{};
  const JsonSource source_{file_, {}, &problems_};
  std::map<int, std::vector<Task>> of_rank_{};
  std::unordered_map<std::string, double> ends_{};  // [task id] us; -1: has not run
};

}  // namespace

bool has_vpp_tasks(const Json& document) {
  if (!document.is_object()) return false;
  return std::any_of(document.begin(), document.end(), [](const Json& list) {
    return list.is_array() && !list.empty() && list[0].is_object() && list[0].contains("task_id") &&
           list[0].contains("task_type");
  });
}

std::vector<RankTrace> read_vpp_tasks(const Json& document, const std::string& file) {
  return TaskReader(file).read(document);
}

}  // namespace stagesim
