#include "hwmodels/fit_errors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace stagesim {
namespace {

void multiply_curve(Curve& curve, double factor) {
  for (auto& [bytes, us] : curve) us *= factor;
}

struct Collector {
  std::vector<FittedNumber> found{};

  void number(const std::string& what, Quantity& q,
              double most = std::numeric_limits<double>::infinity()) {
    if (q.error.value_or(0) == 0) return;
    found.push_back({what, *q.error,
                     [&q, most](double factor) { q.value = std::min(most, q.value * factor); }});
  }

  void link(LinkProfile& link) {
    if (link.error.value_or(0) > 0) {
      found.push_back({link.name, *link.error, [&link](double factor) {
                         multiply_curve(link.curve, factor);
                         multiply_curve(link.exchange, factor);
                         link.latency_us.value *= factor;
                       }});
    }
    for (CollectiveProfile& c : link.collectives) {
      if (c.error.value_or(0) == 0) continue;
      found.push_back({fmt::format("{} {} of {} GPUs", link.name, text(c.kind), c.participants),
                       *c.error, [&c](double factor) { multiply_curve(c.curve, factor); }});
    }
  }

  void gpu(GpuProfile& gpu) {
    const std::string of = gpu.name + " ";
    number(of + "matmul_efficiency", gpu.matmul_efficiency, 1);
    number(of + "memory_efficiency", gpu.memory_efficiency, 1);
    for (std::size_t k = 0; k < kKernelKinds; ++k) {
      if (gpu.kernel_efficiency[k]) {
        number(fmt::format("{}kernel_efficiency.{}", of, kKernelKindNames[k]),
               *gpu.kernel_efficiency[k], 1);
      }
    }
    number(of + "kernel_us", gpu.kernel_us);
    number(of + "launch_us", gpu.launch_us);
    if (gpu.matmul_us) number(of + "matmul_us", *gpu.matmul_us);
  }
};

}  // namespace

std::vector<FittedNumber> numbers_with_errors(FittedNumbers& numbers) {
  Collector collector;
  if (numbers.gpu) collector.gpu(*numbers.gpu);
  if (numbers.link_within) collector.link(*numbers.link_within);
  if (numbers.link_between) collector.link(*numbers.link_between);
  return collector.found;
}

}  // namespace stagesim
