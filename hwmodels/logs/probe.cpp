#include <fmt/format.h>

#include "hwmodels/logs/log_json.hpp"
#include "hwmodels/logs/log_text.hpp"
#include "hwmodels/logs/readers.hpp"
#include "sim/base/json_fields.hpp"

namespace stagesim {
namespace {

constexpr double kSchemaVersion = 1;

const Json& list(const Json& top, const char* key) {
  static const Json none = Json::array();
  const Json& value = member(top, key);
  return value.is_array() ? value : none;
}

void read_gemms(LogReading& reading, const Json& top, const std::string& device) {
  std::size_t position = 0;
  for (const Json& row : list(top, "gemm")) {
    ++position;
    const auto m = number_of(member(row, "m")), n = number_of(member(row, "n")),
               k = number_of(member(row, "k")), us = number_of(member(row, "us"));
    const double batch = number_of(member(row, "batch")).value_or(1);
    if (!m || !n || !k || !us || *m < 1 || *n < 1 || *k < 1 || *us <= 0 || batch < 1) {
      skip_line(reading, position, "gemm: a row without m, n, k and us");
      continue;
    }
    ++reading.rows;
    reading.gemms.push_back({.device = device,
                             .dtype = printable(string_of(member(row, "dtype"))),
                             .m = *m,
                             .n = *n,
                             .k = *k,
                             .batch = batch,
                             .microseconds = *us});
  }
}

void read_kernels(LogReading& reading, const Json& top) {
  std::size_t position = 0;
  for (const Json& row : list(top, "memory")) {
    ++position;
    const std::string kernel = printable(string_of(member(row, "kernel")));
    const auto bytes = number_of(member(row, "bytes")), us = number_of(member(row, "us"));
    if (kernel.empty() || !bytes || !us || *bytes <= 0 || *us <= 0) {
      skip_line(reading, position, "memory: a row without kernel, bytes and us");
      continue;
    }
    ++reading.rows;
    reading.kernels.push_back({.kernel = kernel,
                               .bytes = *bytes,
                               .microseconds = *us,
                               .spread = number_of(member(row, "spread")).value_or(0)});
  }
}

// Both products of attention count as one kind of kernel; its softmax is read with the others.
void read_attention(LogReading& reading, const Json& top) {
  std::size_t position = 0;
  for (const Json& row : list(top, "attention")) {
    ++position;
    const std::string kernel = string_of(member(row, "kernel"));
    const auto bytes = number_of(member(row, "bytes")), us = number_of(member(row, "us"));
    const bool product = kernel == "scores" || kernel == "context";
    if ((!product && kernel != "softmax") || !bytes || !us || *bytes <= 0 || *us <= 0) {
      skip_line(reading, position, "attention: a row without kernel, bytes and us");
      continue;
    }
    ++reading.rows;
    reading.kernels.push_back({.kernel = product ? "batched_matmul" : "softmax",
                               .bytes = *bytes,
                               .microseconds = *us,
                               .spread = number_of(member(row, "spread")).value_or(0)});
  }
}

// "copies" between GPUs are sends; copies within a GPU and from the host say nothing about a link.
void read_copies(LogReading& reading, const Json& top) {
  std::size_t position = 0;
  for (const Json& row : list(top, "copies")) {
    ++position;
    const std::string kind = string_of(member(row, "kind"));
    const auto bytes = number_of(member(row, "bytes")), us = number_of(member(row, "us"));
    if (!bytes || !us || *bytes <= 0 || *us <= 0) {
      skip_line(reading, position, "copies: a row without bytes and us");
      continue;
    }
    ++reading.rows;
    if (kind != "peer" && kind != "peer_exchange") continue;
    reading.points.push_back({.what = kind == "peer" ? Timed::kSend : Timed::kExchange,
                              .participants = 2,
                              .bytes = *bytes,
                              .microseconds = *us});
  }
}

// NCCL operations; "send" and "exchange" are between two GPUs.
void read_collectives(LogReading& reading, const Json& top) {
  std::size_t position = 0;
  for (const Json& row : list(top, "collectives")) {
    ++position;
    const auto what = timed_from(string_of(member(row, "op")));
    const auto ranks = number_of(member(row, "gpus")), bytes = number_of(member(row, "bytes")),
               us = number_of(member(row, "us"));
    if (!what || !ranks || !bytes || !us || *ranks < 2 || *ranks > 1e6 || *bytes <= 0 || *us <= 0) {
      skip_line(reading, position, "collectives: a row without op, gpus, bytes and us");
      continue;
    }
    ++reading.rows;
    reading.points.push_back({.what = *what,
                              .participants = static_cast<int>(*ranks),
                              .bytes = *bytes,
                              .microseconds = *us});
  }
}

}  // namespace

LogReading read_probe(std::string_view text, const std::string& file) {
  LogReading reading{.file = file, .tool = "stagesim-probe", .own_probe = true};
  const Json top = parse_log_json(text, reading);
  if (!reading.problems.empty()) return reading;
  const auto schema = number_of(member(top, "schema_version"));
  if (!schema || *schema != kSchemaVersion) {
    reading.problems.add("{}: schema_version: expected {}, got {}; use a probe of the same release",
                         file, kSchemaVersion, short_text(member(top, "schema_version")));
    return reading;
  }
  reading.version = printable(string_of(member(top, "release")));
  // The times of collectives are NCCL's.
  const std::string nccl = printable(string_of(member(member(top, "device"), "nccl")));
  if (!nccl.empty() && !list(top, "collectives").empty()) reading.version = "NCCL " + nccl;
  reading.launch_us = number_of(member(member(member(top, "launch"), "kernel_issue"), "us"));
  const std::string device = printable(string_of(member(member(top, "device"), "name")));
  add_device(reading, device);
  read_gemms(reading, top, device);
  read_kernels(reading, top);
  read_attention(reading, top);
  read_copies(reading, top);
  read_collectives(reading, top);
  if (reading.rows == 0)
    reading.problems.add("{}: none of gemm, memory, attention, copies and collectives was measured",
                         file);
  return reading;
}

}  // namespace stagesim
