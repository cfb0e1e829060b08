"""The end of a listening port: who has knocked is let in, and no one is cut off.

Closing a listening socket resets every connection that waits in its queue: the client had connected, and sees
"connection reset by peer". So new connections are first kept from coming into being, by a filter in the kernel that
drops their first packet, while the rest of the queue is accepted; whoever comes later is refused, or asks again.
"""

import array
import socket
import struct

# Linux's number of the option, which the socket module does not name (asm-generic/socket.h).
_SO_ATTACH_FILTER = 26
# A classic BPF program over the TCP header, one instruction a line: load the byte of flags; if SYN is among them go
# on, else skip one; drop; take the packet whole.
_LOAD_BYTE, _JUMP_IF_SET, _RETURN = 0x30, 0x45, 0x06
_FLAGS_OFFSET, _SYN, _WHOLE = 13, 0x02, 0xFFFFFFFF
_DROP_SYN = (
    (_LOAD_BYTE, 0, 0, _FLAGS_OFFSET),
    (_JUMP_IF_SET, 0, 1, _SYN),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, _WHOLE),
)


def refuse_newcomers(port: socket.socket) -> None:
    """Let no further connection come into the queue of a listening socket; those in it stay.

    Where the kernel has no such filter, nothing changes: the queue is then emptied as well as can be.
    """
    code = array.array("B", b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_SYN))
    program = struct.pack("HP", len(_DROP_SYN), code.buffer_info()[0])
    try:
        port.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError:
        return
