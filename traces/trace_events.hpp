#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>

#include "sim/base/time.hpp"
#include "sim/schedule.hpp"
#include "traces/text_output.hpp"

namespace stagesim {

// Which row of a viewer: pid and tid start at 1, because 0 is special there (google/perfetto#394).
struct TraceRow {
  int pid = 1, tid = 1;
};

// What a slice says beside its times.
struct SliceText {
  Op op;
  bool name_stage = false, name_pipeline = false;  // "F12", "3F12", "3F12@1"
  bool several_pipelines = false;
  std::int32_t version = -1;          // -1: none
  std::optional<std::int64_t> bytes;  // of a message
};

// The Chrome trace event format, one event per line, every line strict JSON once its comma is gone.
class TraceEvents {
 public:
  explicit TraceEvents(std::ostream& out);

  void process(int pid, std::string_view name, int sort_index);
  void track(TraceRow row, std::string_view name);  // sorted by tid
  void slice(TraceRow row, Nanos start, Nanos duration, const SliceText& text);
  void flow_start(TraceRow row, Nanos at, std::uint32_t id, const Op& message);
  void flow_end(TraceRow row, Nanos at, std::uint32_t id, const Op& message);
  void counter(int pid, Nanos at, std::string_view name, std::string_view unit, double value);
  std::int64_t finish(const std::string& title);  // bytes written

 private:
  template <typename Format, typename... Args>
  void print(const Format& format, const Args&... args);
  template <typename Format, typename... Args>
  void event(const Format& format, const Args&... args);

  TextOutput output_;
  bool first_ = true;
};

}  // namespace stagesim
