#pragma once

#include <cstdint>
#include <ostream>
#include <string>

namespace stagesim {

// Text on its way to a stream, handed on about 1 MiB at a time: a trace may be half a gigabyte and
// never lies in memory. Throws InputError "cannot write the <what>: disk full or stream closed".
class TextOutput {
 public:
  TextOutput(std::ostream& out, std::string what);

  std::string& text() { return text_; }  // append here, then say end_line()
  void end_line() {
    if (text_.size() >= kEnough) flush();
  }
  void finish();

  std::int64_t bytes() const { return bytes_; }  // handed on so far

 private:
  static constexpr std::size_t kEnough = std::size_t{1} << 20;
  void flush();
  [[noreturn]] void fail() const;

  std::ostream* out_;
  std::string what_, text_;
  std::int64_t bytes_ = 0;
};

}  // namespace stagesim
