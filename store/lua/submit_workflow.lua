#!lua
--[[ submit_workflow: accepts a workflow; the leader starts it.
  keys    1 events, 2 definition (wd:<id>), 3 record (wf:<id>)
  args    1 definition and input, 2 first header, 3 the task that it is the child of as JSON ('' none)
  reply   1 created | 0 sent before
  events  none (workflow.started comes with the start)
]]
--@include lib/base.lua
--@include lib/accepting.lua

return accept_workflow(string.sub(KEYS[3], -26), ARGV[1], ARGV[2], ARGV[3], '') and 1 or 0
