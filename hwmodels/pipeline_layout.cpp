#include "hwmodels/pipeline_layout.hpp"

#include <fmt/format.h>

#include <charconv>

#include "sim/base/error.hpp"

namespace stagesim {
namespace {

constexpr std::size_t kMostSymbols = 1'000'000;  // a repeat may ask for any number

struct Reader {
  std::string_view text;
  std::size_t at = 0;
  std::string symbols{};  // repeats written out

  void skip() {
    while (at < text.size() && (text[at] == ',' || text[at] == ' ')) ++at;
  }
  bool done() {
    skip();
    return at == text.size();
  }
  [[noreturn]] void refuse(std::size_t where, const std::string& what) const {
    throw InputError(fmt::format("layout \"{}\", column {}: {}", text, where + 1, what));
  }

  // The count of "*n"; 1 where there is none.
  std::size_t repeats() {
    skip();
    if (at == text.size() || text[at] != '*') return 1;
    ++at;
    skip();
    std::size_t n = 0;
    const char* first = text.data() + at;
    const auto [end, error] = std::from_chars(first, text.data() + text.size(), n);
    if (error != std::errc() || n == 0) refuse(at, "expected a whole number from 1 after '*'");
    at += static_cast<std::size_t>(end - first);
    return n;
  }

  void repeat(const std::string& what, std::size_t from) {
    const std::size_t n = repeats();
    if (!what.empty() && n > (kMostSymbols - symbols.size()) / what.size())
      refuse(from, fmt::format("more than {} symbols", kMostSymbols));
    for (std::size_t i = 0; i < n; ++i) symbols += what;
  }

  char symbol() {
    const char c = text[at];
    if (c != 'E' && c != 't' && c != 'm' && c != 'L' && c != '|') {
      refuse(at, fmt::format("'{}', expected E (embedding), t (layer), m (multi-token prediction), "
                             "L (loss), | (border of stages), or a repeat such as t*3 or (tt|)*3",
                             c));
    }
    ++at;
    return c;
  }

  void item() {
    const std::size_t from = at;
    if (text[at] != '(') return repeat(std::string(1, symbol()), from);
    ++at;
    const std::size_t before = symbols.size();
    while (!done() && text[at] != ')') {
      if (text[at] == '(') refuse(at, "a repeat within a repeat, which Megatron-LM does not read");
      const std::size_t inner = at;
      repeat(std::string(1, symbol()), inner);
    }
    if (at == text.size()) refuse(from, "'(' is never closed");
    ++at;
    const std::string group = symbols.substr(before);
    if (group.empty()) refuse(from, "nothing to repeat");
    symbols.resize(before);
    repeat(group, from);
  }
};

}  // namespace

std::vector<LayoutStage> read_pipeline_layout(std::string_view text) {
  Reader reader{text};
  while (!reader.done()) reader.item();
  if (reader.symbols.empty()) throw InputError("layout: empty");
  std::vector<LayoutStage> stages(1);
  for (const char c : reader.symbols) {
    if (c == '|') stages.emplace_back();
    if (c == 'E') ++stages.back().embeddings;
    if (c == 't') ++stages.back().layers;
    if (c == 'm') ++stages.back().predictions;
    if (c == 'L') ++stages.back().losses;
  }
  return stages;
}

std::vector<int> empty_stages(const std::vector<LayoutStage>& stages) {
  std::vector<int> empty;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    if (stages[s].empty()) empty.push_back(static_cast<int>(s));
  }
  return empty;
}

std::vector<std::string> layout_problems(const std::vector<LayoutStage>& stages, int layers) {
  LayoutStage all;
  for (const LayoutStage& stage : stages) {
    all.embeddings += stage.embeddings;
    all.layers += stage.layers;
    all.predictions += stage.predictions;
    all.losses += stage.losses;
  }
  std::vector<std::string> problems;
  if (all.layers != layers) {
    std::string found = fmt::format("{} layers (t) in {} stages, the model has {}: {} != {}",
                                    all.layers, stages.size(), layers, all.layers, layers);
    const std::vector<int> empty = empty_stages(stages);
    if (!empty.empty())
      found += fmt::format("; nothing is on stage {}, counting from 0", fmt::join(empty, ", "));
    problems.push_back(std::move(found));
  }
  const auto once = [&](const char* symbol, const char* place, int in_all, int there) {
    if (in_all == 1 && there == 1) return;
    problems.push_back(fmt::format("{} must stand once, on the {} stage; found {} in all, {} there",
                                   symbol, place, in_all, there));
  };
  once("E", "first", all.embeddings, stages.front().embeddings);
  once("L", "last", all.losses, stages.back().losses);
  if (all.predictions > 0) {
    problems.push_back(
        fmt::format("multi-token prediction (m, {} times) is not modelled", all.predictions));
  }
  return problems;
}

}  // namespace stagesim
