#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/json_fields.hpp"

namespace stagesim {

enum class Recompute : std::uint8_t { kNone, kSelective, kFull };

// A decoder- or encoder-only transformer, field for field what a scenario's "model" may say.
struct Model {
  std::string name;
  int layers = 0, hidden = 0, heads = 0;
  int kv_heads = 0;  // 0: as many as heads
  int ffn = 0;       // 0: 4 x hidden
  int vocab = 0, seq = 0;
  std::string dtype = "bf16";  // fp16, bf16: equally large and equally fast
  Recompute recompute = Recompute::kNone;
  bool flash = false;  // fused attention: no score matrix in memory
  bool causal = true;  // halves the work of flash attention; unfused kernels compute every score
  bool gated = false;  // Llama style: SwiGLU (three matrices), RMSNorm, rotary positions, no biases
  bool tied = true;    // input embedding and output layer share weights, as one copy where p = 1
  bool dropout = true;  // default false when gated

  int kv_width() const { return hidden / heads * (kv_heads == 0 ? heads : kv_heads); }
  int ffn_width() const { return ffn == 0 ? 4 * hidden : ffn; }
};

std::vector<std::string> model_preset_names();

// Reads "model": {"preset": NAME, overrides...} or the fields themselves, and finishes `fields`.
// Problems go to the source; the Model that comes back with problems is only there to read on.
Model read_model(JsonFields& fields);

}  // namespace stagesim
