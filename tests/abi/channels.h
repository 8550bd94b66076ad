/* Channels as the tests of messages and of waiting have them. */
#ifndef CHANNELS_H
#define CHANNELS_H

#include "tap.h"

/* Both ends of a channel. */
struct pair {
    handle_t sender, receiver;
};

/* A channel of one handle, for so many messages; 0: as many as the header says. */
handle_t channel_of(u32 capacity);
/* Both ends of a new channel, for one message at a time. */
struct pair narrow_pair(void);
/* An end that receives; the other one stays open. */
handle_t new_receiver(handle_t *sender);
/* Sends an empty message. */
void put_message(handle_t channel);
/* Receives one. */
void take_message(handle_t channel);
result_t put_text(handle_t channel, const char *text, u32 flags);
/* Receives a message and compares it. */
void take_text(handle_t channel, const char *text);

#endif /* CHANNELS_H */
