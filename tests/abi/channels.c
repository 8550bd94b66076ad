/* What the tests of messages and of waiting have in common. */
#include "channels.h"

handle_t channel_of(u32 capacity)
{
    handle_t channel = 0;
    OKAY(ipc_channel_create(capacity == 0 ? 0 : IPC_CAPACITY(capacity), &channel));
    return channel;
}

struct pair narrow_pair(void)
{
    struct pair pair = {0, 0};
    OKAY(ipc_channel_pair(IPC_CAPACITY(1), &pair.sender, &pair.receiver));
    return pair;
}

handle_t new_receiver(handle_t *sender)
{
    handle_t receiver = 0;
    OKAY(ipc_channel_pair(0, sender, &receiver));
    return receiver;
}

void put_message(handle_t channel)
{
    OKAY(ipc_send(channel, 0, 0, IPC_NONBLOCK));
}

void take_message(handle_t channel)
{
    size_t len;
    OKAY(ipc_recv(channel, 0, 0, &len, IPC_NONBLOCK));
}

result_t put_text(handle_t channel, const char *text, u32 flags)
{
    return ipc_send(channel, P(text), length(text), flags);
}

void take_text(handle_t channel, const char *text)
{
    char bytes[100];
    size_t len = 0;
    OKAY(ipc_recv(channel, P(bytes), sizeof(bytes), &len, 0));
    EQUAL(len, length(text));
    CHECK(same(bytes, text, len));
}
