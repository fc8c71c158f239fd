#include "hwmodels/assumptions.hpp"

#include <fmt/format.h>

#include "hwmodels/arithmetic.hpp"
#include "hwmodels/kernels.hpp"

namespace stagesim {
namespace {

std::string provenance_text(const Quantity& q) {
  return provenance_text(q.from, q.source, q.error);
}

std::string attention_text(const Model& model) {
  if (model.flash) {
    return fmt::format(
        "attention: fused{}, at the matmul rate (assumed), scores computed again in the backward",
        model.causal ? ", causal half of the scores" : "");
  }
  return fmt::format("attention: score matrix in memory, scale, mask and softmax in one kernel{}",
                     model.dropout ? ", dropout in another" : "");
}

std::string activation_text(const Model& model) {
  if (model.recompute == Recompute::kFull) return "2 sbh per layer, whole layers computed again";
  const bool selective = model.recompute == Recompute::kSelective && !model.flash;
  const bool ordinary = ordinary_layer(layer_model(model, model.layers));
  std::string text = !ordinary ? "saved inputs of every norm, linear layer and expert (assumed)"
                     : model.gated
                         ? "saved tensors of a Llama layer counted, sbh (12 + 4 g/a + 6 f/h)"
                           " without dropout (assumed)"
                         : "34 sbh per plain layer";
  if (selective) return text + ", attention core computed again";
  if (!model.flash) text += model.dropout ? " + 5 a b s^2" : " + 2 a b s^2";
  return text;
}

}  // namespace

std::string provenance_text(Provenance from, const std::string& source,
                            std::optional<double> error) {
  return fmt::format("{}: {}{}", text(from), source,
                     error ? fmt::format("; error {:.0f} %", 100 * *error) : "");
}

std::vector<std::string> stage_assumptions(const Model& model, const GpuProfile& gpu, int stages,
                                           double launch_us) {
  std::vector<std::string> lines;
  lines.push_back(fmt::format("matmul: {} of {} TFLOP/s ({})", gpu.matmul_efficiency.value,
                              gpu.peak_tflops.value, provenance_text(gpu.matmul_efficiency)));
  lines.push_back(fmt::format("memory: {} of {} GB/s ({})", gpu.memory_efficiency.value,
                              gpu.memory_gb_per_s.value, provenance_text(gpu.memory_efficiency)));
  lines.push_back(fmt::format("kernels: {} us between queued kernels ({})", gpu.kernel_us.value,
                              provenance_text(gpu.kernel_us)));
  lines.push_back(fmt::format(
      "launch: the host issues a kernel every {} us; an op is never faster ({})", launch_us,
      launch_us == gpu.launch_us.value
          ? provenance_text(gpu.launch_us.from, gpu.launch_us.source, gpu.launch_us.error)
          : "overheads.launch_us, as given"));
  lines.push_back(attention_text(model));
  lines.push_back(fmt::format(
      "head: {} x {} on the last stage, cross entropy on fp32 logits in separate kernels (assumed)",
      model.vocab, model.hidden));
  if (model.vocab % 128 != 0) {
    lines.push_back(fmt::format("vocabulary: {} as given; Megatron-LM would pad it to {}",
                                model.vocab, (model.vocab + 127) / 128 * 128));
  }
  if (model.tied && stages > 1) {
    lines.push_back(fmt::format(
        "tied embedding: one copy on each end; the all-reduce of its gradient ({:.0f} MB) between "
        "them once per update is not counted",
        4e-6 * static_cast<double>(head_parameters(model))));
  }
  for (std::string& line : layer_assumptions(model)) lines.push_back(std::move(line));
  lines.push_back(
      fmt::format("activations: {} (arXiv 2205.05198, Table 2), fp32 logits on the last stage",
                  activation_text(model)));
  lines.push_back(
      "states: 18 bytes per parameter (16-bit weight, fp32 gradient, fp32 master, two Adam "
      "moments)");
  lines.push_back(fmt::format(
      "workspace: {}; CUDA context, library buffers and fragmentation are not counted",
      layer_workspace_bytes(layer_model(model, model.layers), 1, {}) > 0 ? "one recomputed layer"
                                                                         : "0"));
  return lines;
}

}  // namespace stagesim
