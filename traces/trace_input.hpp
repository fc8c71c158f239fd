#pragma once

#include <array>
#include <istream>
#include <memory>
#include <streambuf>
#include <string>

namespace stagesim {

// A file as it is or, where it begins like one, as a gzip file holds it, read as it comes.
class TraceInput {
 public:
  // Throws InputError where the file cannot be read. What is wrong with a gzip file ends the stream
  // early with badbit set.
  explicit TraceInput(const std::string& path);
  ~TraceInput();
  TraceInput(const TraceInput&) = delete;
  TraceInput& operator=(const TraceInput&) = delete;

  std::istream& stream();
  // Throws InputError if the gzip file was damaged or cut off.
  void check() const;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace stagesim
