#include "tools/execute/matrix_work.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

#include "sim/base/error.hpp"

namespace stagesim {

#ifdef STAGESIM_BLAS

namespace {

constexpr int kSize = 64;  // three of them are 98 kB

// The Fortran interface, which every BLAS has.
extern "C" void dgemm_(const char* transa, const char* transb, const int* m, const int* n,
                       const int* k, const double* alpha, const double* a, const int* lda,
                       const double* b, const int* ldb, const double* beta, double* c,
                       const int* ldc);

void multiply(const std::vector<double>& a, const std::vector<double>& b, std::vector<double>& c) {
  constexpr double kOne = 1, kZero = 0;
  dgemm_("N", "N", &kSize, &kSize, &kSize, &kOne, a.data(), &kSize, b.data(), &kSize, &kZero,
         c.data(), &kSize);
}

}  // namespace

void multiply_matrices(std::int64_t count, const std::atomic<bool>& stopped) {
  const std::vector<double> a(kSize * kSize, 1.5), b(kSize * kSize, 0.5);
  std::vector<double> c(kSize * kSize);
  for (std::int64_t i = 0; i < count && !stopped; ++i) multiply(a, b, c);
}

double matrix_products_per_second() {
  using Clock = std::chrono::steady_clock;
  constexpr std::int64_t kProducts = 500;
  const std::atomic<bool> stopped = false;
  double best = 0;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const Clock::time_point start = Clock::now();
    multiply_matrices(kProducts, stopped);
    const std::chrono::duration<double> took = Clock::now() - start;
    best = std::max(best, static_cast<double>(kProducts) / took.count());
  }
  return best;
}

#else

namespace {

[[noreturn]] void no_blas() {
  throw InputError(
      "--work blas: this build found no BLAS; install one (Debian: libopenblas-dev) and configure "
      "again, or use --work sleep");
}

}  // namespace

double matrix_products_per_second() { no_blas(); }
void multiply_matrices(std::int64_t, const std::atomic<bool>&) { no_blas(); }

#endif

}  // namespace stagesim
