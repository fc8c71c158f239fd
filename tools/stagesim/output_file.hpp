#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "sim/base/error.hpp"

namespace stagesim {

// Opens `path`, lets `write` fill the stream, and makes sure that all of it arrived. InputError
// with the path otherwise.
template <typename Write>
void write_file(const std::string& path, Write&& write) {
  std::ofstream file(path, std::ios::binary);
  if (!file)
    throw InputError(fmt::format("'{}': cannot open for writing: {}", path, std::strerror(errno)));
  try {
    write(file);
    file.close();
    if (!file) throw InputError("cannot write: disk full or stream closed");
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: {}", path, error.what()));
  }
}

}  // namespace stagesim
