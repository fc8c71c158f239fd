#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace stagesim {

// What one stage of a layout string holds.
struct LayoutStage {
  int embeddings = 0, layers = 0, predictions = 0, losses = 0;  // E, t, m, L
  bool empty() const { return embeddings + layers + predictions + losses == 0; }
};

// Reads a pipeline layout as Megatron-LM's --pipeline-model-parallel-layout takes it
// (megatron/core/transformer/pipeline_parallel_layer_layout.py): E embedding, t layer, m
// multi-token prediction, L loss, | border of stages, x*n and (..)*n repeat, commas and spaces
// ignored. Only counts: "Et*3|(tt|)*2L" has 4 stages. Throws InputError with the column.
std::vector<LayoutStage> read_pipeline_layout(std::string_view text);

// Counting from 0. Megatron-LM runs them: they pass activations on.
std::vector<int> empty_stages(const std::vector<LayoutStage>& stages);

// Why the layout cannot be a pipeline of a model with so many layers: layers that are missing or
// too many (empty stages named), an embedding or a loss elsewhere than first and last, layers of
// multi-token prediction. Empty: none.
std::vector<std::string> layout_problems(const std::vector<LayoutStage>& stages, int layers);

}  // namespace stagesim
