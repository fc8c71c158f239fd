#include <boost/mpi.hpp>
#include <list>

#include "tools/processes/processes.hpp"

namespace stagesim {
namespace {

namespace mpi = boost::mpi;

class MpiProcesses : public Processes {
 public:
  ~MpiProcesses() override {
    for (Sent& sent : sent_) sent.request.wait();
  }

  int rank() const override { return world_.rank(); }
  int count() const override { return world_.size(); }
  std::string machine() const override { return mpi::environment::processor_name(); }

  void send(int to, std::string text) override {
    sent_.remove_if([](Sent& sent) { return sent.request.test().has_value(); });
    Sent& sent = sent_.emplace_back(Sent{{}, std::move(text)});
    sent.request = world_.isend(to, kTag, sent.text.data(), static_cast<int>(sent.text.size()));
  }

  std::optional<Message> receive() override {
    const auto status = world_.iprobe(mpi::any_source, kTag);
    if (!status) return std::nullopt;
    // Not status->count(), of which gcc 12 says under sanitizers that it may be uninitialized.
    const MPI_Status found = *status;
    int size = 0;
    MPI_Get_count(&found, MPI_CHAR, &size);
    Message message{status->source(), std::string(static_cast<std::size_t>(size), ' ')};
    world_.recv(message.from, kTag, message.text.data(), static_cast<int>(message.text.size()));
    return message;
  }

  void barrier() override { world_.barrier(); }

 private:
  static constexpr int kTag = 0;
  struct Sent {
    mpi::request request;
    std::string text;  // MPI reads it until the request is done
  };

  mpi::environment environment_{mpi::threading::funneled, /*abort_on_exception*/ false};
  mpi::communicator world_;
  std::list<Sent> sent_;
};

}  // namespace

std::unique_ptr<Processes> launched_processes() {
  if (launched_count() == 1) return nullptr;
  return std::make_unique<MpiProcesses>();
}

}  // namespace stagesim
