#include "traces/text_output.hpp"

#include <utility>

#include "sim/base/error.hpp"

namespace stagesim {

TextOutput::TextOutput(std::ostream& out, std::string what) : out_(&out), what_(std::move(what)) {
  text_.reserve(kEnough + 4096);
}

void TextOutput::flush() {
  if (!out_->write(text_.data(), static_cast<std::streamsize>(text_.size()))) fail();
  bytes_ += static_cast<std::int64_t>(text_.size());
  text_.clear();
}

void TextOutput::finish() {
  flush();
  if (!out_->flush()) fail();
}

void TextOutput::fail() const {
  throw InputError(fmt::format("cannot write the {}: disk full or stream closed", what_));
}

}  // namespace stagesim
