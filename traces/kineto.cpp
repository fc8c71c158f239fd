#include "traces/kineto.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "sim/base/json_fields.hpp"
#include "traces/vpp_tasks.hpp"

namespace stagesim {
namespace {

constexpr std::size_t kMostProblems = 20;
constexpr std::string_view kPrefix = "PP:";

// The action of PyTorch's pipeline runtime that an event is a range of, or Megatron-LM's window of
// a micro-batch ("megatron/core/pipeline_parallel/schedules.py(321): forward_step"); else nothing.
std::optional<std::string> token_of(const std::string& category, const std::string& name) {
  if (name.rfind(kPrefix, 0) == 0) return name.substr(kPrefix.size());
  if (category != "python_function" || name.find("pipeline_parallel/schedules.py(") == name.npos)
    return {};
  for (const std::string_view window : {kForwardStep, kBackwardStep}) {
    if (name.size() > window.size() + 2 &&
        name.compare(name.size() - window.size() - 2, name.npos, fmt::format(": {}", window)) == 0)
      return std::string(window);
  }
  return {};
}

// "F(mb3,mc1)" of category forward: the range "F3.1.0" of NVIDIA's virtual pipeline simulator.
std::optional<std::string> simulated_token(const std::string& category, const std::string& name) {
  if (category != "forward" && category != "backward") return {};
  const std::size_t comma = name.find(",mc");
  if (name.size() < 8 || name.compare(1, 3, "(mb") != 0 || comma == name.npos || name.back() != ')')
    return {};
  std::string token =
      fmt::format("{}{}.{}.0", category == "forward" ? 'F' : 'B', name.substr(4, comma - 4),
                  name.substr(comma + 3, name.size() - comma - 4));
  if (!parse_chunk_token(token)) return {};
  return token;
}

// Takes each event as soon as it is complete.
class EventReader {
 public:
  EventReader(const std::string& file, RankTrace& trace, Problems& problems)
      : file_(file), trace_(trace), problems_(problems) {}

  void event(const Json& e) {
    ++trace_.events;
    if (!e.is_object() || e.value("ph", "") != "X") return;
    const std::string category = e.contains("cat") && e["cat"].is_string() ? e["cat"] : "";
    const std::string name = e.contains("name") && e["name"].is_string() ? e["name"] : "";
    const std::optional<std::string> simulated = simulated_token(category, name);
    const std::optional<std::string> range = simulated ? simulated : token_of(category, name);
    const bool launch = category == "cuda_runtime" || category == "cuda_driver";
    const bool kernel = category == "kernel";
    if (!range && !launch && !kernel) return;
    if (!is_time(e, "ts") || !is_time(e, "dur") || e["dur"].get<double>() < 0) {
      if (problems_.lines().size() < kMostProblems) {
        problems_.add("{}: event {} ('{}'): expected numbers ts and dur >= 0, got ts {}, dur {}",
                      file_, trace_.events - 1, name, short_text(e.value("ts", Json())),
                      short_text(e.value("dur", Json())));
      }
      return;
    }
    const double start = e["ts"], end = start + e["dur"].get<double>();
    if (simulated) return add_simulated(e, *simulated, start, end);
    if (start == 0 && end == 0) {
      ++trace_.zero_events;
      return;
    }
    if (range && category == "gpu_user_annotation")
      return ranges_.add_device_range(*range, start, end);
    if (range) return ranges_.add_range(*range, start, end);
    const Json args = e.value("args", Json::object());
    if (!args.is_object() || !args.contains("correlation") ||
        !args["correlation"].is_number_integer())
      return;
    const std::int64_t correlation = args["correlation"];
    if (launch)
      ranges_.add_launch(start, correlation);
    else
      ranges_.add_kernel(correlation, start, end, name);
  }

  void finish() { trace_.ranges = ranges_.matched(); }

  // The ranks of a simulator's trace, in one file.
  std::vector<RankTrace> simulated() {
    std::vector<RankTrace> traces;
    for (auto& [rank, ranges] : simulated_) {
      std::stable_sort(
          ranges.begin(), ranges.end(),
          [](const ProfiledRange& a, const ProfiledRange& b) { return a.start_us < b.start_us; });
      traces.push_back({.file = file_, .rank = rank, .ranges = std::move(ranges)});
    }
    return traces;
  }

 private:
  static bool is_time(const Json& e, const char* key) {
    return e.contains(key) && e[key].is_number();
  }

  void add_simulated(const Json& e, const std::string& token, double start, double end) {
    const Json tid = e.value("tid", Json());
    if (!tid.is_number_integer() || tid.get<std::int64_t>() < 0) {
      if (problems_.lines().size() < kMostProblems)
        problems_.add("{}: event {}: expected the pipeline rank as tid, got {}", file_,
                      trace_.events - 1, short_text(tid));
      return;
    }
    simulated_[tid.get<int>()].push_back(
        {.token = token, .start_us = start, .end_us = end, .clock = RangeClock::kStated});
  }

  const std::string& file_;
  RankTrace& trace_;
  Problems& problems_;
  RangeMatcher ranges_{};
  std::map<int, std::vector<ProfiledRange>> simulated_{};  // rank
};

}  // namespace

std::vector<RankTrace> read_kineto(std::istream& in, const std::string& file) {
  RankTrace trace{.file = file};
  Problems problems;
  EventReader reader(file, trace, problems);
  bool in_events = false;
  // Depth 1 holds the keys of the document, depth 2 the events of traceEvents (or, of the
  // bare-array form, depth 1).
  std::string key;
  bool array_form = false, first = true;
  const auto take = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (first) {
      first = false;
      array_form = event == Json::parse_event_t::array_start;
      in_events = array_form;
    }
    if (depth == 1 && event == Json::parse_event_t::key && !array_form) {
      key = parsed.get<std::string>();
      in_events = key == "traceEvents";
    }
    const int of_event = array_form ? 1 : 2;
    if (in_events && depth == of_event && event == Json::parse_event_t::object_end) {
      reader.event(parsed);
      return false;
    }
    return true;
  };
  Json rest;
  try {
    rest = Json::parse(in, take, true, true);
  } catch (const Json::exception& error) {
    throw InputError(fmt::format("{}: not the JSON of a trace, or cut off, after {} events: {}",
                                 file, trace.events, error.what()));
  }
  problems.throw_if_any();
  if (rest.is_object() && rest.contains("distributedInfo") && rest["distributedInfo"].is_object()) {
    const Json& rank = rest["distributedInfo"].value("rank", Json());
    if (rank.is_number_integer() && rank.get<std::int64_t>() >= 0) trace.rank = rank.get<int>();
  }
  reader.finish();
  std::vector<RankTrace> simulated = reader.simulated();
  if (simulated.empty() && has_vpp_tasks(rest)) simulated = read_vpp_tasks(rest, file);
  if (trace.ranges.empty() && !simulated.empty()) return simulated;
  if (trace.ranges.empty()) {
    throw InputError(fmt::format(
        "{}: {} events and none named PP:..., the ranges of PyTorch's pipeline schedules, nor "
        "calls "
        "of Megatron-LM's forward_step, which with_stack records; expected a trace of the PyTorch "
        "profiler around whole steps",
        file, trace.events));
  }
  return {std::move(trace)};
}

}  // namespace stagesim
