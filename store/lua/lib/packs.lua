-- An id is a stem of 25 characters and one more. Ids that a client makes one after another share
-- their stems, up to 32 of them; much is kept by stem for that.
local function stem_of(id)
  return string.sub(id, 1, 25)
end

-- Ids in one string: packs, with ',' between them. A pack is a stem, then the last character of
-- each id that has it. A lone id is a pack of one.
local function pack(ids, first, last)
  local parts, shared = {}, nil
  for place = first or 1, last or #ids do
    local id = ids[place]
    local stem = stem_of(id)
    if stem == shared then
      parts[#parts + 1] = string.sub(id, 26)
    else
      if shared then parts[#parts + 1] = ',' end
      parts[#parts + 1], shared = id, stem
    end
  end
  return table.concat(parts)
end

-- Of items that begin with an id and are joined by RS, those of ids[first..last].
local function items_of(items, ids, first, last)
  local wanted, kept = {}, {}
  for place = first, last do wanted[ids[place]] = true end
  for item in string.gmatch(items, '[^\30]+') do
    if wanted[string.sub(item, 1, 26)] then kept[#kept + 1] = item end
  end
  return table.concat(kept, RS)
end

-- Appends the ids of packs to a list, each behind `before`.
local function unpack_ids(packs, ids, before)
  local n = #ids
  for one in string.gmatch(packs, '[^,]+') do
    local stem = (before or '') .. stem_of(one)
    for at = 26, #one do
      n = n + 1
      ids[n] = stem .. string.sub(one, at, at)
    end
  end
  return ids
end
