#include "traces/trace_input.hpp"

#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "sim/base/error.hpp"

namespace stagesim {

// zlib's gzread hands through what is not gzip.
struct TraceInput::Inside : std::streambuf {
  explicit Inside(const std::string& name) : path(name), file(gzopen(name.c_str(), "rb")) {
    if (file == nullptr)
      throw InputError(fmt::format("{}: cannot read this file: {}", path, std::strerror(errno)));
    gzbuffer(file, 1 << 18);
  }
  ~Inside() override { gzclose(file); }

  int_type underflow() override {
    const int got = gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()));
    if (got < 0) failed = true;
    if (got <= 0) return traits_type::eof();
    setg(buffer.data(), buffer.data(), buffer.data() + got);
    return traits_type::to_int_type(*gptr());
  }

  std::string path;
  gzFile file;
  std::vector<char> buffer = std::vector<char>(1 << 18);
  bool failed = false;
  std::istream in{this};
};

TraceInput::TraceInput(const std::string& path) : inside_(std::make_unique<Inside>(path)) {}
TraceInput::~TraceInput() = default;

std::istream& TraceInput::stream() { return inside_->in; }

void TraceInput::check() const {
  int code = Z_OK;
  const char* text = gzerror(inside_->file, &code);
  if (!inside_->failed && (code == Z_OK || code == Z_STREAM_END)) return;
  throw InputError(fmt::format(
      "{}: {}", inside_->path,
      code == Z_ERRNO ? std::strerror(errno) : fmt::format("not a whole gzip file ({})", text)));
}

}  // namespace stagesim
