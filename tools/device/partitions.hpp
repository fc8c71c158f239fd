#pragma once

#include <cuda.h>

#include <vector>

namespace stagesim {

// A share of a GPU's multiprocessors as a green context (CUDA 12.4 or later).
struct Partition {
  CUcontext context = nullptr;
  int multiprocessors = 0;
};

// The first GPU in `parts` equal shares. Shares come in steps (8 multiprocessors on compute
// capability 9.0); what does not divide is left over. InputError when the driver is too old or the
// GPU too small. The contexts live as long as the process.
std::vector<Partition> split_device(int parts);

// A stream of that share, made while its context is current.
CUstream partition_stream(const Partition& partition);

// Makes a context current on this thread, the old one again at the end.
class CurrentContext {
 public:
  explicit CurrentContext(CUcontext context);  // null: stays as it is
  ~CurrentContext();
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;

 private:
  bool pushed_ = false;
};

}  // namespace stagesim
