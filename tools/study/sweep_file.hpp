#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tools/study/sweep.hpp"

namespace stagesim {

// The rows of a sweep as JSON lines, in order, behind a line that says what the sweep is. A file
// that already holds rows of the same sweep is continued; what is after its last whole row, of a
// process that was killed, is cut off. One process at a time: others are refused while it is open.
// Every error is an InputError that says what is kept.
class SweepFile {
 public:
  // Without a path: a temporary file that nobody else sees.
  SweepFile(const std::string& path, const Sweep& sweep);
  ~SweepFile();
  SweepFile(const SweepFile&) = delete;
  SweepFile& operator=(const SweepFile&) = delete;

  std::uint64_t rows() const { return rows_; }        // that it holds
  std::uint64_t resumed() const { return resumed_; }  // that it held when it was opened
  void append(const std::string& row_line);

  // Each row, read from the file.
  void each(const std::function<void(const nlohmann::ordered_json&)>& visit) const;

 private:
  void open_and_lock();
  void read_what_is_there(const std::string& header);
  void write(const std::string& text);
  [[noreturn]] void fail(const std::string& doing) const;

  std::string path_;
  int file_ = -1;
  std::uint64_t rows_ = 0, resumed_ = 0;
};

}  // namespace stagesim
