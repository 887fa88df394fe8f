#!/usr/bin/env python3
"""Deliberate defects, each of which the tests must catch: one text of the source is replaced by another, that one file is
compiled anew and linked in place of the good one, and the test that is named must then fail.

    planted_test.py [NAME…]      all of them, or those

A text that is not there exactly once is a failure too: the defect would be planted nowhere."""
import concurrent.futures
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RELEASE, ASAN = ROOT / "build" / "release", ROOT / "build" / "asan"
DECIDE = "orchestrator/run/decide.cc"
TABLE = "services/kit/transaction/table.cc"
STEPS = "services/kit/transaction/step_execution.cc"
PARTICIPANT = "services/kit/participant/participant.cc"
UNDO = "services/kit/participant/participant_undo.cc"
EXPLORE = (RELEASE, "tests/explore/explore", ["--count", "6000"])
KIT = (ASAN, "services/kit/kit_participant_test", ["--gtest_brief=1"])
ENGINE = (ASAN, "orchestrator/engine/orchestrator_engine_test", ["--gtest_brief=1"])
DISK = (ASAN, "services/kit/kit_disk_fault_test", ["--gtest_brief=1"])
DATABASE = "base/sqlite/database.cc"
STORE = (ASAN, "orchestrator/store/orchestrator_store_test", ["--gtest_brief=1"])
LIMIT = 90  # seconds; a test that then still waits has noticed too

# name: (what is wrong, file, text, what it becomes, the test that must fail)
BUGS = {
    "no-tombstone": (
        "an Undo for a run that is unknown here leaves nothing, so that a late Prepare locks the node for ever", TABLE,
        "     {Answer::kWork, S::kUndone},\n     {Answer::kIgnore, S::kNone},",
        "     {Answer::kRecorded, S::kNone},\n     {Answer::kIgnore, S::kNone},", EXPLORE),
    "undo-to-known-only": (
        "Undo goes only to those that are known to be prepared", DECIDE,
        "[](const Standing& standing) { return standing.undo_answered; }",
        "[](const Standing& standing) { return standing.undo_answered || !standing.prepared; }", EXPLORE),
    "doubt-is-deaf": (
        "a participant in doubt does not hear Undo", TABLE,
        "     {Answer::kWork, S::kCommitted},\n     {Answer::kWork, S::kUndoing},\n     {Answer::kIgnore, S::kInDoubt},",
        "     {Answer::kWork, S::kCommitted},\n     {Answer::kRecorded, S::kInDoubt},\n     {Answer::kIgnore, S::kInDoubt},", EXPLORE),
    "commit-before-all-disarmed": (
        "COMMITTED is logged before everybody has given its word", DECIDE,
        "[&](const Standing& standing) { return standing.commit_prepared_epoch == epoch; });\n      if (!calls.empty()) return calls;",
        "[&](const Standing& standing) { return standing.commit_prepared_epoch == epoch; });\n      if (calls.size() > 1) return calls;",
        EXPLORE),
    "deadline-ends-a-doubt": (
        "PrepareCommit does not disarm the deadline", TABLE,
        "     {Answer::kIgnore, S::kInDoubt},", "     {Answer::kWork, S::kUndoing},", EXPLORE),
    "order-ignored": (
        "a step is dispatched although one that must come first is not done", DECIDE,
        "[&](size_t earlier) {\n      return state.steps[earlier].state == StepState::kDone;",
        "[&](size_t earlier) {\n      return state.steps[earlier].state != StepState::kFailed;", EXPLORE),
    "late-prepare": (
        "a Prepare that comes after the undo begins anew", TABLE,
        "    // kUndone\n    {{Answer::kAborted, S::kUndone},", "    // kUndone\n    {{Answer::kWork, S::kPrepared},", EXPLORE),
    "unfenced-log": (
        "a leader that was replaced may go on appending", "orchestrator/store/sqlite_run_store.cc",
        "  if (current == std::to_string(epoch)) return absl::OkStatus();", "  if (!current.empty()) return absl::OkStatus();",
        STORE),
    "undo-row-after-do": (
        "the step is done before its undo is durable", STEPS,
        "  PHX_RETURN_IF_ERROR(journal_.WriteStep(run_id, TransactionState::kPrepared, row));\n\n"
        "  const StepContext context = ContextOf(run_id, row, &secrets);\n"
        "  const absl::Status did = domain_.Do(row.step, context);\n",
        "  const StepContext context = ContextOf(run_id, row, &secrets);\n"
        "  const absl::Status did = domain_.Do(row.step, context);\n"
        "  PHX_RETURN_IF_ERROR(journal_.WriteStep(run_id, TransactionState::kPrepared, row));\n", KIT),
    "lost-epoch-check": (
        "a lower epoch is obeyed", PARTICIPANT,
        "  if (context.epoch < fence.epoch) {", "  if (context.epoch < 0) {", KIT),
    "volatile-epoch": (
        "a higher epoch is obeyed and not kept", PARTICIPANT,
        "    PHX_RETURN_IF_ERROR(journal_.WriteFence({context.authority, context.epoch}));",
        "    PHX_RETURN_IF_ERROR(journal_.WriteFence({context.authority, fence.epoch}));", KIT),
    "probe-skipped": (
        "what the tool said is believed", STEPS,
        "  auto probe = domain_.ProbeStep(row.step, context);\n  if (!probe.ok()) return RecordIdle(run_id, row, did.ok() ? probe.status() : did);",
        "  auto probe = domain_.ProbeStep(row.step, context);\n  if (!did.ok()) return RecordIdle(run_id, row, did);", KIT),
    "foreign-change-unseen": (
        "the state is not compared with what was captured right before the step", STEPS,
        "  if (row.captured && *row.captured != *now) {", "  if (row.captured && row.captured->empty()) {", KIT),
    "undo-out-of-order": (
        "a provider is undone before its consumer on the same node", UNDO,
        "    if (!free || !SiblingsAllow(record, row.step.id)) continue;", "    if (!free) continue;", KIT),
    "confirm-renewed": (
        "polls renew the deadline of a run that waits for its confirmation", PARTICIPANT,
        "  if (!row.deadline || row.deadline->confirm) return;\n  // A lost",
        "  if (!row.deadline) return;\n  if (row.deadline->confirm) {\n"
        "    (void)journal_.Touch(row.run_id, [&](TransactionRow& current) {\n"
        "      current.deadline = Arm(Duration(current.deadline->interval_ns), true);\n    });\n    return;\n  }\n  // A lost", KIT),
    "humans-word-is-evidence": (
        "a human's decision on a sibling ends a doubt", UNDO,
        '    if (!state.ok() || state->decided_by == "resolve") continue;', "    if (!state.ok()) continue;", KIT),
    "journal-id-unchecked": (
        "a node that lost its journal acknowledges", PARTICIPANT,
        "  if (context.journal_id != journal_.id()) {", "  if (context.journal_id.empty()) {", KIT),
    "keeper-left-out": (
        "who has no steps is left out although it keeps what others write into", "orchestrator/run/state.cc",
        "if (participant.TakesPart())", "if (!participant.steps.empty())", ENGINE),
    "kept-for-nobody": (
        "what others write into is not told to the domain that keeps it", PARTICIPANT,
        "domain_.Checkpoint(run_id, steps, record.row.disturbed_keys)", "domain_.Checkpoint(run_id, steps, {})", KIT),
    "consent-asked-once": (
        "a run that was interrupted before its plan was logged does what nobody allowed", "orchestrator/engine/run_engine.cc",
        "run::CheckConsent(*plan, request); !refused.ok())", "run::CheckAllowedKeys(*plan, request); !refused.ok())", ENGINE),
    "adoption-forgets-epochs": (
        "an authority that is adopted back starts over, so that its former leaders are obeyed", "services/kit/transaction/journal.cc",
        "fence.epoch = std::max(fence.epoch, earlier.former.epoch);", "fence.epoch = 0;", KIT),
    "answered-before-synced": (
        "a transaction is answered before it is on the disk", DATABASE,
        '"PRAGMA synchronous=FULL"', '"PRAGMA synchronous=NORMAL"', DISK),
    "begun-without-reserve": (
        "a run begins although the journal's reserve is gone", PARTICIPANT,
        "  PHX_RETURN_IF_ERROR(journal_.HoldReserve());\n  PHX_ASSIGN_OR_RETURN(TransactionRecord record, BeginTransaction(input,",
        "  PHX_ASSIGN_OR_RETURN(TransactionRecord record, BeginTransaction(input,", DISK),
    "reserve-kept-back": (
        "the reserve is not given up when the disk is full", DATABASE,
        "    status = RunOnce(body);\n  }\n  return status;", "  }\n  return status;", DISK),
    "failed-disk-used-again": (
        "a handle is used again after an error of the disk", DATABASE,
        "  if (!broken_.ok()) return broken_;\n  full_ = false;", "  full_ = false;", (ASAN, "base/base_test", ["--gtest_filter=DiskTest.*"])),
}


class Failure(Exception):
    pass


def compile_command(build, file):
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if entry["file"] == str(ROOT / file):
            return shlex.split(entry["command"]), entry["directory"]
    raise Failure(f"{build.name} does not compile {file}")


def link_command(build, target):
    done = subprocess.run(["ninja", "-C", build, "-t", "commands", "-s", target], capture_output=True, text=True, check=True)
    line = done.stdout.strip().splitlines()[-1]
    # ": && c++ … -o target … && :"
    return shlex.split(line.split("&&")[1])


def planted(name, folder):
    """Raises Failure where the defect was not noticed."""
    what, file, good, bad, (build, target, arguments) = BUGS[name]
    text = (ROOT / file).read_text()
    if text.count(good) != 1:
        raise Failure(f"its text is {text.count(good)} times in {file}")
    source, object_file, program = (Path(folder) / f"{name}{suffix}" for suffix in (".cc", ".o", ""))
    source.write_text(text.replace(good, bad))
    command, directory = compile_command(build, file)
    command[command.index(str(ROOT / file))] = str(source)
    command[command.index("-o") + 1] = str(object_file)
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure("it does not compile:\n" + done.stderr[-3000:])
    command = link_command(build, target)
    command[command.index("-o") + 1] = str(program)
    # Before the libraries: what it defines is then taken from nowhere else.
    command.insert(command.index("-o"), str(object_file))
    done = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure("it does not link:\n" + done.stderr[-3000:])
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=LIMIT,
                              env={"PHOENIX_FAULT_SLICE": "0/8", **os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    except subprocess.TimeoutExpired:
        return "hangs"
    finally:
        program.unlink()
    if done.returncode == 0:
        raise Failure(f"not noticed by {target}: {what}")
    lines = [line for line in done.stdout.splitlines() if "FAILED" in line or line.startswith("seed ")]
    return lines[0] if lines else f"exit code {done.returncode}"


def main():
    names = sys.argv[1:] or list(BUGS)
    failed = 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        def one(name):
            begin = time.monotonic()
            try:
                return name, "caught", planted(name, folder), time.monotonic() - begin
            except Failure as failure:
                return name, "NOT CAUGHT", str(failure), time.monotonic() - begin
        for name, verdict, how, seconds in pool.map(one, names):
            failed += verdict != "caught"
            print(f"{name:28} {verdict}: {how} ({seconds:.0f} s)", flush=True)
    print(f"{len(names) - failed} of {len(names)} planted defects caught")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
