#include <fmt/format.h>

#include <cmath>

#include "hwmodels/pipeline_layout.hpp"
#include "tools/study/scenario_parts.hpp"

namespace stagesim {
namespace {

bool is_layout(const Json& layers) {
  return layers.is_string() && layers.get<std::string>().find_first_of("|(*") != std::string::npos;
}

// "Et|(tt|)*30L", as Megatron-LM writes the layers of every stage.
void read_layout(JsonFields& partition, int stages, Scenario& s) {
  const auto text = partition.any("layers").get<std::string>();
  std::vector<LayoutStage> layout;
  try {
    layout = read_pipeline_layout(text);
  } catch (const InputError& error) {
    return partition.problem("layers", "{}", error.what());
  }
  std::vector<std::string> problems = layout_problems(layout, s.model->layers);
  if (static_cast<int>(layout.size()) != stages) {
    problems.push_back(fmt::format("{} stages, expected {} (pipeline {} x virtual {})",
                                   layout.size(), stages, s.ranks, s.source.virtual_stages));
  }
  for (const std::string& problem : problems)
    partition.problem("layers", "layout \"{}\": {}", text, problem);
  s.source.listed = partition.path_of("layers");
  s.source.split = LayerSplit::kList;
  for (const LayoutStage& stage : layout) s.source.layers.push_back(stage.layers);
  if (const std::vector<int> empty = empty_stages(layout); !empty.empty()) {
    s.assumptions.push_back(fmt::format("layout: nothing is on stage {}, which passes messages on",
                                        fmt::join(empty, ", ")));
  }
}

}  // namespace

void read_layers(JsonFields& partition, Scenario& s) {
  const int stages = s.ranks * s.source.virtual_stages;
  const Json& layers = partition.any("layers");
  if (layers.is_array()) {
    s.source.listed = partition.path_of("layers");
    s.source.split = LayerSplit::kList;
    for (const double n : partition.numbers("layers", static_cast<std::size_t>(stages), 0, 1e6)) {
      if (n != std::floor(n))
        partition.problem("layers", "expected whole numbers of layers, got {}", n);
      s.source.layers.push_back(static_cast<int>(n));
    }
  } else if (is_layout(layers)) {
    read_layout(partition, stages, s);
  } else {
    const std::string split = partition.one_of("layers", {"even", "balanced", "fastest"}, "even");
    if (split == "balanced") s.source.split = LayerSplit::kBalanced;
    if (split == "fastest") s.source.split = LayerSplit::kFastest;
    // Schedules with one stage per rank may still do; those with several refuse.
    if (s.source.split == LayerSplit::kEven && s.model->layers % stages != 0)
      s.source.virtual_stages = 1;
  }
}

}  // namespace stagesim
