#include "tools/study/sweep_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "sim/base/error.hpp"

namespace stagesim {
namespace {

// Whole lines of a file from its beginning; stops where visit says so. Returns the offset behind
// the last whole line that was visited.
off_t each_line(int file, const std::function<bool(const std::string&)>& visit) {
  std::string buffer(1 << 16, '\0'), line;
  off_t offset = 0, end_of_line = 0;
  for (;;) {
    const ssize_t got = pread(file, buffer.data(), buffer.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return end_of_line;
    for (ssize_t i = 0; i < got; ++i) {
      const char c = buffer[static_cast<std::size_t>(i)];
      if (c != '\n') {
        line += c;
        continue;
      }
      if (!visit(line)) return end_of_line;
      line.clear();
      end_of_line = offset + i + 1;
    }
    offset += got;
  }
}

}  // namespace

SweepFile::SweepFile(const std::string& path, const Sweep& sweep) : path_(path) {
  const std::string header = sweep_header(sweep).dump();
  if (path.empty()) {
    std::string name = (std::filesystem::temp_directory_path() / "stagesim_sweep_XXXXXX").string();
    file_ = mkstemp(name.data());
    path_ = name;
    if (file_ < 0) fail("make a temporary file");
    unlink(name.c_str());
    write(header + "\n");
    return;
  }
  try {
    open_and_lock();
    read_what_is_there(header);
  } catch (...) {
    if (file_ >= 0) close(file_);
    throw;
  }
}

SweepFile::~SweepFile() { close(file_); }

void SweepFile::fail(const std::string& doing) const {
  throw InputError(fmt::format("{}: cannot {}: {}{}", path_, doing, std::strerror(errno),
                               rows_ == 0
                                   ? ""
                                   : fmt::format("; it holds the first {} rows, and the same "
                                                 "command goes on from there",
                                                 rows_)));
}

void SweepFile::open_and_lock() {
  file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0) fail("open it for writing");
  struct stat about {};
  if (fstat(file_, &about) != 0 || !S_ISREG(about.st_mode))
    throw InputError(path_ + ": expected a file on a disk, which can be read and continued");
  if (flock(file_, LOCK_EX | LOCK_NB) == 0) return;
  if (errno == EWOULDBLOCK)
    throw InputError(path_ + ": another process is writing it; wait for it or name another file");
  fail("lock it");
}

void SweepFile::read_what_is_there(const std::string& header) {
  bool first = true, whole = true;
  const off_t end = each_line(file_, [&](const std::string& line) {
    if (first) {
      first = false;
      if (line == header) return true;
      throw InputError(path_ +
                       ": holds something else than this sweep (other scenario, axes or version); "
                       "name another file, or remove it");
    }
    // A row that is not the next one: not ours to cut off.
    if (line.rfind(fmt::format("{{\"row\":{},", rows_), 0) != 0 || line.back() != '}') {
      whole = false;
      return false;
    }
    ++rows_;
    return true;
  });
  if (!whole) {
    throw InputError(
        fmt::format("{}: line {}: expected row {} of this sweep; name another file, or "
                    "remove it",
                    path_, rows_ + 2, rows_));
  }
  resumed_ = rows_;
  if (first) {  // no whole line: empty, or a header that was cut off
    const auto size = lseek(file_, 0, SEEK_END);
    std::string there(static_cast<std::size_t>(std::max<off_t>(size, 0)), '\0');
    if (size > static_cast<off_t>(header.size()) ||
        pread(file_, there.data(), there.size(), 0) != size || header.rfind(there, 0) != 0)
      throw InputError(path_ + ": holds something else than a sweep; name another file");
  }
  if (ftruncate(file_, end) != 0) fail("cut off an unfinished row");
  if (lseek(file_, end, SEEK_SET) < 0) fail("write to it");
  if (first) write(header + "\n");
}

void SweepFile::write(const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t wrote = ::write(file_, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) fail("write to it");
    done += static_cast<std::size_t>(wrote);
  }
}

void SweepFile::append(const std::string& row_line) {
  write(row_line + "\n");
  ++rows_;
}

void SweepFile::each(const std::function<void(const nlohmann::ordered_json&)>& visit) const {
  bool header = true;
  each_line(file_, [&](const std::string& line) {
    if (!header) visit(nlohmann::ordered_json::parse(line));
    header = false;
    return true;
  });
}

}  // namespace stagesim
