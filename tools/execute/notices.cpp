#include "tools/execute/notices.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sim/base/error.hpp"

namespace stagesim {
namespace {

using Clock = std::chrono::steady_clock;

struct Head {
  std::int64_t kind = 0, task = 0, start = 0, end = 0;
};

std::string encoded(const Notice& notice) {
  const Head head{static_cast<std::int64_t>(notice.kind), notice.task, notice.span.start.count(),
                  notice.span.end.count()};
  std::string text(sizeof head, '\0');
  std::memcpy(text.data(), &head, sizeof head);
  return text + notice.text;
}

Notice decoded(const std::string& text) {
  Head head;
  STAGESIM_CHECK(text.size() >= sizeof head);
  std::memcpy(&head, text.data(), sizeof head);
  return {static_cast<Notice::Kind>(head.kind), static_cast<TaskId>(head.task),
          Span{Nanos(head.start), Nanos(head.end)}, text.substr(sizeof head)};
}

std::int64_t now() { return Clock::now().time_since_epoch().count(); }

}  // namespace

Notices::Notices(const Program& program, const std::vector<std::vector<TaskId>>& before,
                 Processes* processes)
    : program_(program), processes_(processes) {
  if (alone()) return;
  const Activities& what = *program.what;
  if (processes->count() > what.shape.ranks) {
    throw InputError(fmt::format("{} processes for {} ranks: start at most one for each rank",
                                 processes->count(), what.shape.ranks));
  }
  for (TaskId t = 0; t < what.size(); ++t)
    owner_.push_back(process_of(what.lanes[what.lane[t]].from_rank));
  interested_.resize(what.size());
  const auto tell = [&](TaskId t, int process) {
    std::vector<int>& who = interested_[t];
    if (process != owner_[t] && std::find(who.begin(), who.end(), process) == who.end())
      who.push_back(process);
  };
  for (TaskId t = 0; t < what.size(); ++t) {
    if (what.op[t].kind == OpKind::kJoin) continue;  // seen to by every process for itself
    tell(t, 0);
    for (const TaskId b : before[t]) tell(b, owner_[t]);
  }
}

int Notices::process_of(int rank) const {
  const auto ranks = static_cast<std::int64_t>(program_.what->shape.ranks);
  return static_cast<int>(rank * std::int64_t{processes_->count()} / ranks);
}

void Notices::post(int to, const Notice& notice) {
  const std::lock_guard lock(mutex_);
  outgoing_.emplace_back(to, encoded(notice));
}

void Notices::called(TaskId task, Span span) {
  if (alone()) return;
  for (const int process : interested_[task]) post(process, {Notice::Kind::kCalled, task, span});
}

void Notices::to_all(Notice::Kind kind) {
  for (int p = 0; !alone() && p < processes_->count(); ++p)
    if (p != processes_->rank()) post(p, {.kind = kind});
}

void Notices::failed(std::string text) {
  if (!first()) post(0, {.kind = Notice::Kind::kFailed, .text = std::move(text)});
}

void Notices::deliver() {
  if (alone()) return;
  std::deque<std::pair<int, std::string>> outgoing;
  {
    const std::lock_guard lock(mutex_);
    outgoing.swap(outgoing_);
  }
  for (auto& [to, text] : outgoing) processes_->send(to, std::move(text));
}

std::optional<Notice> Notices::next() {
  if (alone()) return std::nullopt;
  const std::optional<Message> message = processes_->receive();
  if (!message) return std::nullopt;
  Notice notice = decoded(message->text);
  if (notice.kind == Notice::Kind::kFailed)
    notice.text = fmt::format("process {}: {}", message->from, notice.text);
  return notice;
}

Clock::time_point common_start(Processes& processes) {
  // A process asks for the time several times and believes the fastest answer. On the machine of
  // process 0 the clock is the same one.
  constexpr int kAsks = 20;
  Clock::time_point start = Clock::now();
  if (processes.rank() == 0) {
    for (int asked = 0; asked < kAsks * (processes.count() - 1); ++asked) {
      const int from = wait_for_message(processes).from;
      processes.send(from, fmt::format("{} {}", now(), processes.machine()));
    }
    start = Clock::now();
    for (int p = 1; p < processes.count(); ++p)
      processes.send(p, std::to_string(start.time_since_epoch().count()));
  } else {
    std::int64_t fastest = INT64_MAX, ahead = 0;  // of process 0
    bool same_machine = false;
    for (int ask = 0; ask < kAsks; ++ask) {
      const std::int64_t asked = now();
      processes.send(0, "time?");
      const std::string answer = wait_for_message(processes).text;
      const std::int64_t took = now() - asked;
      const std::size_t space = answer.find(' ');
      if (took < fastest) {
        fastest = took;
        ahead = std::stoll(answer.substr(0, space)) - (asked + took / 2);
      }
      same_machine = answer.substr(space + 1) == processes.machine();
    }
    if (same_machine) ahead = 0;
    start =
        Clock::time_point(Clock::duration(std::stoll(wait_for_message(processes).text) - ahead));
  }
  processes.barrier();
  return start;
}

}  // namespace stagesim
