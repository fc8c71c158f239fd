#include "traces/kineto.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <unordered_map>

#include "sim/base/json_fields.hpp"

namespace stagesim {
namespace {

constexpr std::size_t kMostProblems = 20;
constexpr std::string_view kPrefix = "PP:";

struct Launch {
  double at_us;
  std::int64_t correlation;
};
struct KernelSpan {
  double start_us, end_us;
  bool communicates;
};

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

bool is_send_or_receive(const std::string& kernel) {
  return kernel.find("SendRecv") != std::string::npos;
}

// Takes each event as soon as it is complete.
class EventReader {
 public:
  EventReader(const std::string& file, KinetoTrace& trace, Problems& problems)
      : file_(file), trace_(trace), problems_(problems) {}

  void event(const Json& e) {
    ++trace_.events;
    if (!e.is_object() || e.value("ph", "") != "X") return;
    const std::string category = e.contains("cat") && e["cat"].is_string() ? e["cat"] : "";
    const std::string name = e.contains("name") && e["name"].is_string() ? e["name"] : "";
    const std::optional<std::string> range = token_of(category, name);
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
    if (start == 0 && end == 0) {
      ++trace_.zero_events;
      return;
    }
    if (range) return add_range(category, *range, start, end);
    const Json args = e.value("args", Json::object());
    if (!args.is_object() || !args.contains("correlation") ||
        !args["correlation"].is_number_integer())
      return;
    const std::int64_t correlation = args["correlation"];
    if (launch) {
      launches_.push_back({start, correlation});
    } else {
      kernels_.emplace(correlation, KernelSpan{start, end, is_send_or_receive(name)});
    }
  }

  void finish() {
    // Actions say more than windows; a run has the one or the other.
    const auto window = [](const ProfiledRange& r) { return is_megatron_window(r.token); };
    if (!std::all_of(trace_.ranges.begin(), trace_.ranges.end(), window))
      std::erase_if(trace_.ranges, window);
    std::sort(launches_.begin(), launches_.end(),
              [](const Launch& a, const Launch& b) { return a.at_us < b.at_us; });
    std::stable_sort(
        trace_.ranges.begin(), trace_.ranges.end(),
        [](const ProfiledRange& a, const ProfiledRange& b) { return a.start_us < b.start_us; });
    std::map<std::string, std::size_t> seen;
    for (ProfiledRange& range : trace_.ranges) {
      const std::size_t occurrence = seen[range.token]++;
      if (take_kernels(range)) continue;
      const auto device = device_ranges_.find(range.token);
      if (device == device_ranges_.end() || occurrence >= device->second.size()) continue;
      range.clock = RangeClock::kDeviceRange;
      std::tie(range.start_us, range.end_us) = device->second[occurrence];
    }
  }

 private:
  static bool is_time(const Json& e, const char* key) {
    return e.contains(key) && e[key].is_number();
  }

  void add_range(const std::string& category, std::string token, double start, double end) {
    if (category == "gpu_user_annotation") {
      device_ranges_[std::move(token)].emplace_back(start, end);
    } else {
      trace_.ranges.push_back({.token = std::move(token), .start_us = start, .end_us = end});
    }
  }

  bool take_kernels(ProfiledRange& range) const {
    constexpr double kNone = std::numeric_limits<double>::infinity();
    double start = kNone, end = 0, comm_start = kNone, comm_end = 0;
    auto launch = std::lower_bound(launches_.begin(), launches_.end(), range.start_us,
                                   [](const Launch& l, double at) { return l.at_us < at; });
    for (; launch != launches_.end() && launch->at_us < range.end_us; ++launch) {
      const auto kernel = kernels_.find(launch->correlation);
      if (kernel == kernels_.end()) continue;
      double& first = kernel->second.communicates ? comm_start : start;
      double& last = kernel->second.communicates ? comm_end : end;
      first = std::min(first, kernel->second.start_us);
      last = std::max(last, kernel->second.end_us);
    }
    if (comm_start < kNone) range.comm_start_us = comm_start, range.comm_end_us = comm_end;
    if (start == kNone) return false;
    range.clock = RangeClock::kKernels;
    range.start_us = start;
    range.end_us = end;
    return true;
  }

  const std::string& file_;
  KinetoTrace& trace_;
  Problems& problems_;
  std::vector<Launch> launches_{};
  std::unordered_map<std::int64_t, KernelSpan> kernels_{};
  std::map<std::string, std::vector<std::pair<double, double>>> device_ranges_{};
};

}  // namespace

bool is_megatron_window(const std::string& token) {
  return token == kForwardStep || token == kBackwardStep;
}

KinetoTrace read_kineto(std::istream& in, const std::string& file) {
  KinetoTrace trace{.file = file};
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
  if (trace.ranges.empty()) {
    throw InputError(fmt::format(
        "{}: {} events and none named PP:..., the ranges of PyTorch's pipeline schedules, nor "
        "calls "
        "of Megatron-LM's forward_step, which with_stack records; expected a trace of the PyTorch "
        "profiler around whole steps",
        file, trace.events));
  }
  return trace;
}

}  // namespace stagesim
