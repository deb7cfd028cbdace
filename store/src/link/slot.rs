//! Which of the 16,384 slots of a cluster a key belongs to. Pure.

/// The slot of `key`: CRC-16 (XMODEM) of its hash tag, or of all of it when it has none.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    crc16(hash_tag(key)) % 16_384
}

/// The bytes between the first `{` and the next `}`, unless there are none.
fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else {
        return key;
    };
    let inner = &key[open + 1..];
    match inner.iter().position(|byte| *byte == b'}') {
        Some(0) | None => key,
        Some(close) => &inner[..close],
    }
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (crc << 8) ^ TABLE[usize::from((crc >> 8) ^ u16::from(*byte))]
    })
}

const TABLE: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut index: u16 = 0;
    while index < 256 {
        let mut crc = index << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
            bit += 1;
        }
        table[index as usize] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{crc16, slot_of};

    #[test]
    fn the_check_value_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
    }

    #[test]
    fn slots_as_redis_counts_them() {
        // From CLUSTER KEYSLOT of redis-server 7.0.15.
        for (key, slot) in [
            ("", 0),
            ("foo", 12182),
            ("bar", 5061),
            ("{foo}bar", 12182),
            ("x{foo}bar", 12182),
            ("{}foo", 9500),
            ("{foo", 13308),
            ("a{foo}{bar}", 12182),
        ] {
            assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
        }
    }
}
