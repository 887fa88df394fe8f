#include "tests/explore/sim_participant.h"

#include <algorithm>

namespace phoenix::explore {

using kit::Answer;
using kit::ProtocolMessage;
using S = TransactionState;

SimParticipant::SimParticipant(run::ParticipantId id, std::vector<SimStep> steps)
    : effects(steps.size()),
      applied(steps.size()),
      id_(std::move(id)),
      steps_(std::move(steps)),
      children_(steps_.size(), Child::kNone),
      wanted_(steps_.size()),
      errors_(steps_.size()) {
  durable.rows.assign(steps_.size(), RowState::kIdle);
}

bool SimParticipant::Write() {
  wrote = true;
  return true;
}

void SimParticipant::Refuse(const SimCall& call, const std::string& why, bool stale) {
  SimAnswer answer{call.leader, call.command_key, run::Event{}, stale};
  answer.event->who = id_;
  answer.event->ok = false;
  answer.event->error = why;
  answer.event->step_ids = call.step_ids;
  answers_.push_back(std::move(answer));
}

void SimParticipant::Succeed(const SimCall& call) {
  SimAnswer answer{call.leader, call.command_key, run::Event{}};
  answer.event->who = id_;
  answer.event->step_ids = call.step_ids;
  const bool undo = call.message == ProtocolMessage::kUndo;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const bool asked =
        std::find(call.step_ids.begin(), call.step_ids.end(), steps_[i].id) != call.step_ids.end();
    if (!undo && !asked) continue;
    run::StepResult result{steps_[i].id, run::StepResult::Result::kDone, "", {}};
    if (undo) {
      result.result = run::StepResult::Result::kUndone;
    } else if (durable.rows[i] != RowState::kDone) {
      result.result = run::StepResult::Result::kFailed;
      result.error = errors_[i];
    }
    answer.event->results.push_back(std::move(result));
  }
  answers_.push_back(std::move(answer));
}

bool SimParticipant::AllDone() const {
  return std::all_of(durable.rows.begin(), durable.rows.end(),
                     [](RowState row) { return row == RowState::kDone; });
}

bool SimParticipant::BeginUndo(const std::string& by) {
  if (disk_full) return false;
  durable.state = S::kUndoing;
  durable.deadline.reset();
  durable.decided_by = by;
  told_sibling_ = false;
  return Write();
}

void SimParticipant::JoinUndo() {
  const auto row = kit::Lookup(durable.state, ProtocolMessage::kSiblingUndo);
  if (row.answer != Answer::kWork || disk_full) return;
  if (durable.state == S::kNone) {
    durable.state = S::kUndone;
    durable.decided_by = "sibling";
    Write();
  } else {
    BeginUndo("sibling");
  }
}

void SimParticipant::Take(const SimCall& call, int64_t now, int64_t patience) {
  if (!alive) return;
  if (call.epoch < durable.epoch) return Refuse(call, "stale epoch", /*stale=*/true);
  if (call.epoch > durable.epoch) {
    if (disk_full) return;  // neither done nor answered
    durable.epoch = call.epoch;
    Write();
  }
  const auto row = kit::Lookup(durable.state, call.message);
  switch (row.answer) {
    case Answer::kUnknown:
      return Refuse(call, "unknown run");
    case Answer::kConflict:
      return Refuse(call, "CONFLICT");
    case Answer::kAborted:
      return Refuse(call, "undo has begun");
    case Answer::kRecorded:
    case Answer::kIgnore:
    case Answer::kWait:
      break;
    case Answer::kWork:
      if (durable.deadline && !durable.confirm) durable.deadline = now + patience;
      break;
  }
  if (row.answer == Answer::kWork) {
    if (disk_full) return;
    switch (call.message) {
      case ProtocolMessage::kPrepare:
        durable.state = S::kPreparing;
        durable.deadline = now + patience;
        preparing_ = true;
        Write();
        break;
      case ProtocolMessage::kApply:
        for (size_t i = 0; i < steps_.size(); ++i) {
          if (std::find(call.step_ids.begin(), call.step_ids.end(), steps_[i].id) == call.step_ids.end())
            continue;
          errors_[i].clear();
          if (durable.rows[i] == RowState::kIdle) wanted_[i] = true;
        }
        break;
      case ProtocolMessage::kVerify:
        if (!AllDone()) return Refuse(call, "not all steps are done");
        if (call.await_confirm) {
          durable.deadline = now + patience;
          durable.confirm = true;
          Write();
        }
        break;
      case ProtocolMessage::kPrepareCommit:
        if (!AllDone()) return Refuse(call, "not all steps are done");
        // The deadline stays where it is: that it is never heard in doubt is the table's to say.
        durable.state = S::kInDoubt;
        Write();
        break;
      case ProtocolMessage::kCommit:
        durable.state = S::kCommitted;
        durable.decided_by = "commit";
        Write();
        break;
      case ProtocolMessage::kUndo:
        if (durable.state == S::kNone) {
          durable.state = S::kUndone;
          durable.decided_by = "undo";
          Write();
        } else if (durable.state != S::kUndoing) {
          BeginUndo("undo");
        }
        break;
      case ProtocolMessage::kDeadline:
      case ProtocolMessage::kSiblingUndo:
        break;
    }
  }
  waiting_.push_back(call);
}

bool SimParticipant::FinishChild(size_t step) {
  const bool doing = children_[step] == Child::kDoing;
  children_[step] = Child::kNone;
  const bool fails = std::exchange(fail_next_, false);
  if (doing) {
    if (fails || steps_[step].fails) {
      errors_[step] = "failed";
    } else {
      if (effects[step]) violation = steps_[step].id + " took effect twice";
      effects[step] = true;
      ++applied[step];
    }
  } else if (!fails) {
    if (!effects[step]) violation = steps_[step].id + " was reverted and was not there";
    effects[step] = false;
  }
  return true;
}

// Nobody does the step now: the probe decides what is written.
bool SimParticipant::SettleStep(size_t step) {
  if (disk_full) return false;
  if (durable.rows[step] == RowState::kIntent) {
    durable.rows[step] = effects[step] ? RowState::kDone : RowState::kIdle;
    wanted_[step] = false;
  } else {
    durable.rows[step] = effects[step] ? RowState::kDone : RowState::kReverted;
  }
  return Write();
}

bool SimParticipant::ApplySome(Random& random) {
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (children_[i] != Child::kNone) {
      if (random.OneIn(2)) return FinishChild(i);
      continue;
    }
    if (!alive) continue;
    if (durable.rows[i] == RowState::kIntent || durable.rows[i] == RowState::kUndoIntent)
      return SettleStep(i);
    if (durable.state == S::kPrepared && wanted_[i] && durable.rows[i] == RowState::kIdle && !disk_full) {
      durable.rows[i] = RowState::kIntent;
      Write();
      children_[i] = Child::kDoing;
      return true;
    }
  }
  return false;
}

bool SimParticipant::UndoSome() {
  if (durable.state != S::kUndoing || disk_full) return false;
  if (!told_sibling_ && sibling != nullptr && sibling->alive) {
    sibling->JoinUndo();
    told_sibling_ = true;
    return true;
  }
  bool all = true;
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (durable.rows[i] == RowState::kReverted) continue;
    all = false;
    const bool unsettled = durable.rows[i] == RowState::kIntent || durable.rows[i] == RowState::kUndoIntent;
    if (children_[i] != Child::kNone || unsettled) continue;
    bool free = true;
    for (size_t later = 0; later < steps_.size(); ++later) {
      const auto& before = steps_[later].before;
      if (std::find(before.begin(), before.end(), i) == before.end()) continue;
      free = free && durable.rows[later] == RowState::kReverted;
    }
    for (const size_t consumer : steps_[i].undo_after) {
      const bool undoing =
          sibling->alive && (sibling->durable.state == S::kUndoing || sibling->durable.state == S::kUndone);
      const RowState row = sibling->durable.rows[consumer];
      const bool gone = row == RowState::kReverted ||
                        (row == RowState::kIdle && sibling->durable.state == S::kUndone) ||
                        (row == RowState::kIdle && undoing);
      free = free && undoing && gone;
    }
    if (!free) continue;
    if (durable.rows[i] == RowState::kIdle) {
      durable.rows[i] = RowState::kReverted;
      return Write();
    }
    durable.rows[i] = RowState::kUndoIntent;
    Write();
    children_[i] = Child::kUndoing;
    return true;
  }
  if (!all) return false;
  durable.state = S::kUndone;
  return Write();
}

bool SimParticipant::AnswerSome() {
  for (size_t i = 0; i < waiting_.size(); ++i) {
    const SimCall call = waiting_[i];
    const auto row = kit::Lookup(durable.state, call.message);
    bool ready = false, refused = false;
    switch (row.answer) {
      case Answer::kWait:
        break;
      case Answer::kRecorded:
      case Answer::kIgnore:
        ready = call.message != ProtocolMessage::kUndo || durable.state == S::kUndone ||
                durable.state == S::kNone;
        break;
      case Answer::kAborted:
      case Answer::kConflict:
      case Answer::kUnknown:
        refused = true;
        break;
      case Answer::kWork:
        switch (call.message) {
          case ProtocolMessage::kApply:
            ready = true;
            for (size_t s = 0; s < steps_.size(); ++s) {
              if (std::find(call.step_ids.begin(), call.step_ids.end(), steps_[s].id) == call.step_ids.end())
                continue;
              if (durable.rows[s] == RowState::kIntent || wanted_[s]) ready = false;
            }
            break;
          case ProtocolMessage::kVerify:
            ready = true;
            break;
          default:
            break;
        }
        break;
    }
    if (!ready && !refused) continue;
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    if (refused) {
      Refuse(call, row.answer == Answer::kConflict ? "CONFLICT" : "undo has begun");
    } else {
      Succeed(call);
    }
    return true;
  }
  return false;
}

bool SimParticipant::Progress(Random& random, int64_t now) {
  if (!alive) return ApplySome(random);  // children go on
  if (durable.state == S::kPreparing && !disk_full) {
    // Nobody will finish a prepare that was cut off.
    if (!preparing_) return BeginUndo("recovery");
    durable.state = S::kPrepared;
    preparing_ = false;
    return Write();
  }
  if (durable.deadline && now >= *durable.deadline &&
      kit::Lookup(durable.state, ProtocolMessage::kDeadline).answer == Answer::kWork &&
      BeginUndo("deadline")) {
    return true;
  }
  if (durable.state == S::kInDoubt && sibling != nullptr && sibling->alive && !disk_full) {
    if (sibling->durable.state == S::kCommitted) {
      durable.state = S::kCommitted;
      durable.decided_by = "commit";
      return Write();
    }
    if (sibling->durable.state == S::kUndoing || sibling->durable.state == S::kUndone)
      return BeginUndo("sibling");
  }
  if (AnswerSome()) return true;
  if (ApplySome(random)) return true;
  return UndoSome();
}

void SimParticipant::Crash(bool reboot, Random& random) {
  alive = false;
  waiting_.clear();
  answers_.clear();
  preparing_ = told_sibling_ = false;
  std::fill(wanted_.begin(), wanted_.end(), false);
  if (!reboot) return;
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (children_[i] == Child::kNone) continue;
    if (random.OneIn(2)) FinishChild(i);
    children_[i] = Child::kNone;
  }
}

bool SimParticipant::FailNext() {
  if (durable.state == S::kNone || durable.state == S::kUndone || durable.state == S::kCommitted)
    return false;
  fail_next_ = true;
  return true;
}

void SimParticipant::Start() { alive = true; }

}  // namespace phoenix::explore
