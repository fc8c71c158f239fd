#include "traces/nsys.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <fstream>
#include <map>
#include <memory>

#include "sim/base/error.hpp"

namespace stagesim {
namespace {

constexpr std::size_t kMostProblems = 20;

// The process of a globalTid or globalPid: the thread is in the lowest 24 bits (Nsight Systems User
// Guide, "Exported data", common SQLite queries).
std::int64_t process_of(std::int64_t global) { return (global >> 24) & 0xFFFFFF; }

double to_us(std::int64_t ns) { return static_cast<double>(ns) / 1e3; }

// "PP:2F0, op_id = 12" of torch.autograd.profiler.emit_nvtx is 2F0; "F3.1.0" is itself.
std::string token_of(const std::string& text) {
  const std::string name = text.substr(0, text.find(','));
  if (name.rfind("PP:", 0) == 0) return name.substr(3);
  return parse_chunk_token(name) ? name : "";
}

class Database {
 public:
  explicit Database(const std::string& path) : path_(path) {
    sqlite3* opened = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READONLY, nullptr);
    database_.reset(opened);
    if (code != SQLITE_OK) fail();
  }

  // Calls row(statement) for each row.
  template <typename Row>
  void each(const std::string& sql, Row&& row) {
    sqlite3_stmt* prepared = nullptr;
    if (sqlite3_prepare_v2(database_.get(), sql.c_str(), -1, &prepared, nullptr) != SQLITE_OK)
      fail();
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(prepared,
                                                                          sqlite3_finalize);
    int code = sqlite3_step(prepared);
    for (; code == SQLITE_ROW; code = sqlite3_step(prepared)) row(prepared);
    if (code != SQLITE_DONE) fail();
  }

  // The export makes a table only when it has rows for it.
  bool has_table(const std::string& name) {
    bool found = false;
    each("SELECT name FROM sqlite_master WHERE name = '" + name + "'",
         [&](sqlite3_stmt*) { found = true; });
    return found;
  }

 private:
  [[noreturn]] void fail() const {
    throw InputError(fmt::format("{}: not an export of Nsight Systems that can be read: {}", path_,
                                 sqlite3_errmsg(database_.get())));
  }

  const std::string& path_;
  std::unique_ptr<sqlite3, int (*)(sqlite3*)> database_{nullptr, sqlite3_close};
};

std::string text_at(sqlite3_stmt* row, int column) {
  const unsigned char* text = sqlite3_column_text(row, column);
  return text == nullptr ? "" : reinterpret_cast<const char*>(text);
}

class NsysReader {
 public:
  explicit NsysReader(const std::string& path) : path_(path), database_(path) {}

  std::vector<RankTrace> read() {
    if (!database_.has_table("NVTX_EVENTS")) {
      throw InputError(fmt::format(
          "{}: no table NVTX_EVENTS; expected 'nsys export --type sqlite' of a profile with "
          "'nsys profile --trace cuda,nvtx'",
          path_));
    }
    read_session_start();
    read_ranges();
    if (database_.has_table("CUPTI_ACTIVITY_KIND_RUNTIME")) read_launches();
    if (database_.has_table("CUPTI_ACTIVITY_KIND_KERNEL")) read_kernels();
    problems_.throw_if_any();
    std::vector<RankTrace> traces;
    for (auto& [process, matcher] : matchers_) {
      RankTrace trace{
          .file = matchers_.size() == 1 ? path_ : fmt::format("{} (process {})", path_, process)};
      trace.ranges = matcher.matched();
      trace.events = events_;
      trace.zero_events = zero_events_[process];
      traces.push_back(std::move(trace));
    }
    if (traces.empty()) {
      throw InputError(fmt::format(
          "{}: {} NVTX ranges and none named PP:2F0, as PyTorch's pipeline runtime under emit_nvtx "
          "names them, or F3.1.0, as the zero-bubble code does",
          path_, events_));
    }
    return traces;
  }

 private:
  // start and end of a row in us, where it has them.
  std::optional<std::pair<double, double>> times(sqlite3_stmt* row, const char* what,
                                                 const std::string& name) {
    const bool numbers = sqlite3_column_type(row, 0) == SQLITE_INTEGER &&
                         sqlite3_column_type(row, 1) == SQLITE_INTEGER;
    const std::int64_t start = sqlite3_column_int64(row, 0), end = sqlite3_column_int64(row, 1);
    if (!numbers || end < start) {
      if (problems_.lines().size() < kMostProblems) {
        problems_.add("{}: {} '{}': expected whole numbers start <= end, got start '{}', end '{}'",
                      path_, what, name, text_at(row, 0), text_at(row, 1));
      }
      return {};
    }
    if (start == 0 && end == 0) {
      ++zero_events_[process_of(sqlite3_column_int64(row, 2))];
      return {};
    }
    return std::pair(base_us_ + to_us(start), base_us_ + to_us(end));
  }

  void read_session_start() {
    if (!database_.has_table("TARGET_INFO_SESSION_START_TIME")) return;
    database_.each("SELECT utcEpochNs FROM TARGET_INFO_SESSION_START_TIME",
                   [&](sqlite3_stmt* row) { base_us_ = to_us(sqlite3_column_int64(row, 0)); });
  }

  void read_ranges() {
    // 59: push and pop of a thread; 60: start and end of a process. Without an end the capture
    // stopped inside: not there.
    database_.each(
        "SELECT n.start, n.end, n.globalTid, coalesce(n.text, s.value) FROM NVTX_EVENTS n "
        "LEFT JOIN StringIds s ON s.id = n.textId WHERE n.eventType IN (59, 60) "
        "AND n.end IS NOT NULL",
        [&](sqlite3_stmt* row) {
          ++events_;
          const std::string token = token_of(text_at(row, 3));
          if (token.empty()) return;
          if (const auto time = times(row, "NVTX range", token))
            matchers_[process_of(sqlite3_column_int64(row, 2))].add_range(token, time->first,
                                                                          time->second);
        });
  }

  void read_launches() {
    database_.each("SELECT start, end, globalTid, correlationId FROM CUPTI_ACTIVITY_KIND_RUNTIME",
                   [&](sqlite3_stmt* row) {
                     const auto matcher = matchers_.find(process_of(sqlite3_column_int64(row, 2)));
                     if (matcher == matchers_.end()) return;
                     if (const auto time = times(row, "call", text_at(row, 3)))
                       matcher->second.add_launch(time->first, sqlite3_column_int64(row, 3));
                   });
  }

  void read_kernels() {
    database_.each(
        "SELECT k.start, k.end, k.globalPid, k.correlationId, s.value "
        "FROM CUPTI_ACTIVITY_KIND_KERNEL k LEFT JOIN StringIds s ON s.id = k.shortName",
        [&](sqlite3_stmt* row) {
          const auto matcher = matchers_.find(process_of(sqlite3_column_int64(row, 2)));
          if (matcher == matchers_.end()) return;
          const std::string name = text_at(row, 4);
          if (const auto time = times(row, "kernel", name))
            matcher->second.add_kernel(sqlite3_column_int64(row, 3), time->first, time->second,
                                       name);
        });
  }

  const std::string& path_;
  Database database_;
  Problems problems_{};
  double base_us_ = 0;
  std::int64_t events_ = 0;
  std::map<std::int64_t, RangeMatcher> matchers_{};  // process
  std::map<std::int64_t, std::int64_t> zero_events_{};
};

}  // namespace

bool is_sqlite(const std::string& path) {
  constexpr std::string_view kMagic("SQLite format 3\0", 16);
  std::ifstream in(path, std::ios::binary);
  std::string head(kMagic.size(), '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  return in.gcount() == static_cast<std::streamsize>(kMagic.size()) && head == kMagic;
}

std::vector<RankTrace> read_nsys(const std::string& path) { return NsysReader(path).read(); }

}  // namespace stagesim
