--@include lib/endings.lua
-- Writes the end of a job that neither waits anywhere nor runs. `letter` is its final state.
local function finish_job(id, ident, policy, state, letter, kind, why, retention)
  local workflow = in_workflow(ident)
  write_state(id, format_state(letter, state, removal_time(retention, workflow), why))
  follow_policy(policy, id, true)
  local detail = detail_of(state.attempt, state.run, ident)
  emit_job(kind, id, detail, why)
  book_end(id, letter, detail, retention, workflow, why)
end
