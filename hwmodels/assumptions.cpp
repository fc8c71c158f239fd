#include "hwmodels/assumptions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "hwmodels/arithmetic.hpp"

namespace stagesim {
namespace {

std::string provenance_text(const Quantity& q) {
  return provenance_text(q.from, q.source, q.error);
}

// One line for the kinds whose fractions come from the same place.
std::vector<std::string> kernel_lines(const Model& model, const GpuProfile& gpu) {
  std::vector<std::string> names;
  std::vector<std::pair<Quantity, double>> sources;  // with the largest error
  for (std::size_t kind = 1; kind < kKernelKinds; ++kind) {
    const std::optional<Quantity>& own = gpu.kernel_efficiency[kind];
    if (!own || (is_flash(static_cast<KernelKind>(kind)) && !model.flash)) continue;
    std::size_t at = 0;
    while (at < sources.size() &&
           (sources[at].first.from != own->from || sources[at].first.source != own->source)) {
      ++at;
    }
    if (at == sources.size()) {
      sources.emplace_back(*own, 0);
      names.emplace_back();
    }
    names[at] +=
        fmt::format("{}{} {}", names[at].empty() ? "" : ", ", kKernelKindNames[kind], own->value);
    sources[at].second = std::max(sources[at].second, own->error.value_or(0));
  }
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    lines.push_back(fmt::format(
        "fraction of the peak of other kernels: {} ({}: {}; error up to "
        "{:.0f} %)",
        names[i], text(sources[i].first.from), sources[i].first.source, 100 * sources[i].second));
  }
  return lines;
}

std::string attention_text(const Model& model, const GpuProfile& gpu) {
  if (model.flash) {
    const bool own =
        gpu.kernel_efficiency[static_cast<std::size_t>(KernelKind::kFlashForward)].has_value();
    return fmt::format("attention: fused{}{}, scores computed again in the backward",
                       model.causal ? ", causal half of the scores" : "",
                       own ? "" : ", at the matmul rate (assumed)");
  }
  return fmt::format("attention: score matrix in memory, scale, mask and softmax in one kernel{}",
                     model.dropout ? ", dropout in another" : "");
}

// Whose activations the published formulas count.
bool ordinary_layer(const Model& m) {
  return m.experts == 0 && !m.latent() && m.query_width() == m.hidden && !m.qk_norm &&
         !m.qkv_bias && m.has_biases() == !m.gated;
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

// What experts, latent attention and BERT's ends add.
std::vector<std::string> layer_assumptions(const Model& m) {
  std::vector<std::string> lines;
  if (m.experts > 0) {
    const std::string shared =
        m.shared_experts > 0 ? fmt::format(" and {} shared", m.shared_experts) : "";
    const std::string dense =
        m.dense_layers > 0 ? fmt::format("; the first {} layers are dense", m.dense_layers) : "";
    lines.push_back(fmt::format(
        "experts: {} of {}{} for each token, tokens spread evenly, one grouped GEMM at the matmul "
        "rate; no capacity limit or router loss (assumed){}",
        m.experts_per_token, m.experts, shared, dense));
  }
  if (m.latent()) {
    lines.push_back(fmt::format(
        "latent attention: keys and values of {} heads expanded from rank {} in training; rotary "
        "positions not counted (assumed)",
        m.heads, m.kv_lora_rank));
  }
  if (m.encoder) {
    lines.push_back(
        "encoder: output layer for every token, as Megatron-LM does; pooler and next-sentence loss "
        "take no time (assumed)");
  }
  return lines;
}

}  // namespace

std::string provenance_text(Provenance from, const std::string& source,
                            std::optional<double> error) {
  return fmt::format("{}: {}{}", text(from), source,
                     error ? fmt::format("; error {:.0f} %", 100 * *error) : "");
}

std::vector<std::string> stage_assumptions(const Model& model, const GpuProfile& gpu,
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
  for (std::string& line : kernel_lines(model, gpu)) lines.push_back(std::move(line));
  lines.push_back(attention_text(model, gpu));
  lines.push_back(fmt::format(
      "head: {} x {} on the last stage, cross entropy on fp32 logits in separate kernels (assumed)",
      model.vocab, model.hidden));
  if (model.vocab % 128 != 0) {
    lines.push_back(fmt::format("vocabulary: {} as given; Megatron-LM would pad it to {}",
                                model.vocab, (model.vocab + 127) / 128 * 128));
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
