#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace stagesim {

// Kernels that reach a fraction of their own of the GPU's rates. Everything else is kPlain: the
// matmul rate for its FLOPs, the plain memory rate for its bytes.
enum class KernelKind : std::uint8_t {
  kPlain,
  kBatchedMatmul,  // attention scores and context, bound by the traffic of the scores
  kDropout,        // draws random numbers, writes a mask
  kSoftmax,
  kSoftmaxBackward,
  kNorm,  // layer norm or RMS norm: a reduction per row
  kNormBackward,
  kColumnSum,  // gradient of a bias: a sum over the tokens
  kTranspose,  // strided copies: heads into rows, Q, K and V side by side
  kWiden,      // 16-bit to fp32
  kAdam,
  kFlashForward,  // fused attention: of the FLOPs, not of the bytes
  kFlashBackward,
};
inline constexpr std::array<std::string_view, 13> kKernelKindNames = {
    "plain", "batched_matmul", "dropout",       "softmax",   "softmax_backward",
    "norm",  "norm_backward",  "column_sum",    "transpose", "widen",
    "adam",  "flash_forward",  "flash_backward"};
inline constexpr std::size_t kKernelKinds = kKernelKindNames.size();

constexpr bool is_flash(KernelKind kind) { return kind >= KernelKind::kFlashForward; }

}  // namespace stagesim
