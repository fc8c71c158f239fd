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
  // From here on of the FLOPs, not of the bytes.
  kOutputMatmul,  // the output layer: so many tiles that the last wave does not matter
  kFlashForward,  // fused attention
  kFlashBackward,
};
inline constexpr std::array<std::string_view, 14> kKernelKindNames = {
    "plain", "batched_matmul", "dropout",       "softmax",       "softmax_backward",
    "norm",  "norm_backward",  "column_sum",    "transpose",     "widen",
    "adam",  "output_matmul",  "flash_forward", "flash_backward"};
inline constexpr std::size_t kKernelKinds = kKernelKindNames.size();

constexpr bool is_flash(KernelKind kind) { return kind >= KernelKind::kFlashForward; }
// Whether its fraction is of the peak FLOPs.
constexpr bool of_flops(KernelKind kind) { return kind >= KernelKind::kOutputMatmul; }

}  // namespace stagesim
