#include "traces/trace_events.hpp"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

namespace stagesim {
namespace {

constexpr int kTraceSchemaVersion = 1;

// The format counts microseconds, whatever displayTimeUnit says (google/perfetto#274). Written from
// integers, so that no digit is rounded.
struct Micros {
  Nanos t;
};

}  // namespace
}  // namespace stagesim

template <>
struct fmt::formatter<stagesim::Micros> {
  constexpr auto parse(format_parse_context& context) { return context.begin(); }
  template <typename Context>
  auto format(stagesim::Micros micros, Context& context) const {
    const std::int64_t ns = micros.t.count();
    const auto bits = static_cast<std::uint64_t>(ns);
    const std::uint64_t size = ns < 0 ? 0 - bits : bits;
    return fmt::format_to(context.out(), FMT_COMPILE("{}{}.{:03}"), ns < 0 ? "-" : "", size / 1000,
                          size % 1000);
  }
};

namespace stagesim {

TraceEvents::TraceEvents(std::ostream& out) : output_(out, "trace") {
  output_.text() += "{\"traceEvents\":[";
}

template <typename Format, typename... Args>
void TraceEvents::print(const Format& format, const Args&... args) {
  fmt::format_to(std::back_inserter(output_.text()), format, args...);
}

template <typename Format, typename... Args>
void TraceEvents::event(const Format& format, const Args&... args) {
  output_.end_line();  // of the event before
  output_.text() += first_ ? "\n" : ",\n";
  first_ = false;
  print(format, args...);
}

void TraceEvents::process(int pid, std::string_view name, int sort_index) {
  event(FMT_COMPILE(R"({{"ph":"M","pid":{},"name":"process_name","args":{{"name":"{}"}}}})"), pid,
        name);
  event(FMT_COMPILE(
            R"({{"ph":"M","pid":{},"name":"process_sort_index","args":{{"sort_index":{}}}}})"),
        pid, sort_index);
}

void TraceEvents::track(TraceRow row, std::string_view name) {
  event(
      FMT_COMPILE(R"({{"ph":"M","pid":{},"tid":{},"name":"thread_name","args":{{"name":"{}"}}}})"),
      row.pid, row.tid, name);
  event(FMT_COMPILE(R"({{"ph":"M","pid":{},"tid":{},"name":"thread_sort_index",)"
                    R"("args":{{"sort_index":{}}}}})"),
        row.pid, row.tid, row.tid);
}

// Short keys: viewers give up at a few hundred megabytes (google/perfetto#99, trace-viewer#627).
void TraceEvents::slice(TraceRow row, Nanos start, Nanos duration, const SliceText& s) {
  event(FMT_COMPILE(R"({{"ph":"X","pid":{},"tid":{},"ts":{},"dur":{},"name":")"), row.pid, row.tid,
        Micros{start}, Micros{duration});
  if (s.name_stage) print(FMT_COMPILE("{}"), s.op.stage);
  print(FMT_COMPILE("{}{}"), text(s.op.kind), s.op.microbatch);
  if (s.name_pipeline) print(FMT_COMPILE("@{}"), s.op.pipeline);
  print(FMT_COMPILE(R"(","args":{{"stage":{},"{}":{})"), s.op.stage,
        is_update_part(s.op.kind) ? "win" : "mb", s.op.microbatch);
  if (s.several_pipelines) print(FMT_COMPILE(R"(,"pipe":{})"), s.op.pipeline);
  if (s.version >= 0) print(FMT_COMPILE(R"(,"ver":{})"), s.version);
  if (s.bytes) print(FMT_COMPILE(R"(,"bytes":{})"), *s.bytes);
  output_.text() += "}}";
}

void TraceEvents::flow_start(TraceRow row, Nanos at, std::uint32_t id, const Op& message) {
  event(FMT_COMPILE(R"({{"ph":"s","pid":{},"tid":{},"ts":{},"id":{},"cat":"p2p","name":"{}{}"}})"),
        row.pid, row.tid, Micros{at}, id, text(message.kind), message.microbatch);
}

void TraceEvents::flow_end(TraceRow row, Nanos at, std::uint32_t id, const Op& message) {
  event(FMT_COMPILE(R"({{"ph":"f","bp":"e","pid":{},"tid":{},"ts":{},"id":{},"cat":"p2p",)"
                    R"("name":"{}{}"}})"),
        row.pid, row.tid, Micros{at}, id, text(message.kind), message.microbatch);
}

// Counters belong to the process: with a tid some viewers do not draw them (google/perfetto#140).
void TraceEvents::counter(int pid, Nanos at, std::string_view name, std::string_view unit,
                          double value) {
  event(FMT_COMPILE(R"({{"ph":"C","pid":{},"ts":{},"name":"{}","args":{{"{}":{}}}}})"), pid,
        Micros{at}, name, unit, value);
}

std::int64_t TraceEvents::finish(const std::string& title) {
  const auto quoted =
      nlohmann::json(title).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  print(FMT_COMPILE("\n],\n\"displayTimeUnit\":\"ms\",\n\"otherData\":{{\"title\":{},"
                    "\"writer\":\"stagesim\",\"schema_version\":{}}}}}\n"),
        quoted, kTraceSchemaVersion);
  output_.finish();
  return output_.bytes();
}

}  // namespace stagesim
