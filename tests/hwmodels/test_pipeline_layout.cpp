#include <string>
#include <vector>

#include "hwmodels/pipeline_layout.hpp"
#include "sim/base/error.hpp"
#include "tests/support/catch.hpp"

namespace stagesim {
namespace {

struct Counts {
  int stages = 0, layers = 0, predictions = 0, losses = 0;
  std::vector<int> empty{};
  bool operator==(const Counts& other) const {
    return stages == other.stages && layers == other.layers && predictions == other.predictions &&
           losses == other.losses && empty == other.empty;
  }
};

Counts count(const std::string& text) {
  Counts counts;
  const std::vector<LayoutStage> stages = read_pipeline_layout(text);
  for (const LayoutStage& stage : stages) {
    counts.layers += stage.layers;
    counts.predictions += stage.predictions;
    counts.losses += stage.losses;
  }
  counts.stages = static_cast<int>(stages.size());
  counts.empty = empty_stages(stages);
  return counts;
}

// Writes the repeats of a layout without nesting out, from the left, one at a time.
std::string written_out(std::string text) {
  for (std::size_t star = text.find('*'); star != text.npos; star = text.find('*')) {
    std::size_t end = star + 1;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    const int n = std::stoi(text.substr(star + 1, end - star - 1));
    const bool group = text[star - 1] == ')';
    const std::size_t from = group ? text.rfind('(', star) : star - 1;
    const std::string what = group ? text.substr(from + 1, star - from - 2) : text.substr(from, 1);
    std::string out;
    for (int i = 0; i < n; ++i) out += what;
    text = text.substr(0, from) + out + text.substr(end);
  }
  return text;
}

TEST_CASE("layout strings are counted before a launch", "[hwmodels][layout]") {
  // NVIDIA/Megatron-LM#1852, #5318 and modelscope/ms-swift#9827: a 61-layer model and what was
  // offered for it; the last two of others.
  CHECK(count("Et|(tt|)*30L") == Counts{32, 61, 0, 1});
  CHECK(count("Et|(tt|)*29L|") == Counts{32, 59, 0, 1, {31}});
  CHECK(count("Et|(tt|)*29|L") == Counts{32, 59, 0, 1, {30}});
  CHECK(count("Et|(tt|)*28t|t|L") == Counts{32, 59, 0, 1});
  CHECK(count("Et*4|(tttt|)*14tmL") == Counts{16, 61, 1, 1});
  CHECK(count("E|(t|)*10m|m|m|LL|LL") == Counts{16, 10, 3, 4});
  CHECK(count("E(|tt)*30,|mL") == Counts{32, 60, 1, 1});
}

TEST_CASE("a layout of another model is refused with both counts and the empty stages",
          "[hwmodels][layout]") {
  const auto problems = [](const std::string& text) {
    return layout_problems(read_pipeline_layout(text), 61);
  };
  CHECK(problems("Et|(tt|)*30L").empty());
  CHECK(problems("Et|(tt|)*29L|") ==
        std::vector<std::string>{
            "59 layers (t) in 32 stages, the model has 61: 59 != 61; nothing is on stage 31, "
            "counting from 0",
            "L must stand once, on the last stage; found 1 in all, 0 there"});
  CHECK(problems("Et|(tt|)*29|L") ==
        std::vector<std::string>{"59 layers (t) in 32 stages, the model has 61: 59 != 61; nothing "
                                 "is on stage 30, counting from 0"});
  CHECK(problems("Et|(tt|)*28t|t|L") ==
        std::vector<std::string>{"59 layers (t) in 32 stages, the model has 61: 59 != 61"});
  CHECK(problems("Et*4|(tttt|)*14tmL") ==
        std::vector<std::string>{"multi-token prediction (m, 1 times) is not modelled"});
  CHECK(problems("t*30|Et*31") ==
        std::vector<std::string>{"E must stand once, on the first stage; found 1 in all, 0 there",
                                 "L must stand once, on the last stage; found 0 in all, 0 there"});
}

TEST_CASE("a layout counts as the same layout with its repeats written out", "[hwmodels][layout]") {
  for (const char* text : {"E|(t|)*10m|m|m|LL|LL", "Et*12|t*3(|tt)*4|*2L", "(E)*1(t|)*7t*2L"})
    CHECK(count(text) == count(written_out(text)));
  CHECK(count(" E t * 3 | ( t t , | ) * 2 L") == count("Et*3|(tt|)*2L"));
}

TEST_CASE("what is no layout is refused by column", "[hwmodels][layout]") {
  const auto refused = [](const std::string& text, const std::string& why) {
    CHECK_THROWS_WITH(read_pipeline_layout(text), why);
  };
  refused("", "layout: empty");
  refused(" ,", "layout: empty");
  refused("Et|x",
          "layout \"Et|x\", column 4: 'x', expected E (embedding), t (layer), m "
          "(multi-token prediction), L (loss), | (border of stages), or a repeat such as "
          "t*3 or (tt|)*3");
  refused("Et*|L", "layout \"Et*|L\", column 4: expected a whole number from 1 after '*'");
  refused("Et*0|L", "layout \"Et*0|L\", column 4: expected a whole number from 1 after '*'");
  refused("E(tt|*2L", "layout \"E(tt|*2L\", column 2: '(' is never closed");
  refused("E()*2L", "layout \"E()*2L\", column 2: nothing to repeat");
  refused("E((t)*2|)*2L",
          "layout \"E((t)*2|)*2L\", column 3: a repeat within a repeat, which "
          "Megatron-LM does not read");
  refused(
      "Et*99999999999999999999L",
      "layout \"Et*99999999999999999999L\", column 4: expected a whole number from 1 after '*'");
  refused("Et*2000000L", "layout \"Et*2000000L\", column 2: more than 1000000 symbols");
}

}  // namespace
}  // namespace stagesim
