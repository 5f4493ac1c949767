/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - a world of this process's own for name resolution: a network with nothing but loopback, its own /etc/hosts,
 * /etc/nsswitch.conf and /etc/resolv.conf, and a DNS server that those lead to. Takes root.
 */
#ifndef TESTS_LIB_NAMES_H
#define TESTS_LIB_NAMES_H

/** names_start() - enter it, for good: this process and its children. Everything that goes wrong fails the test. */
void names_start(void);

/** names_stop() - the DNS server ends. */
void names_stop(void);

/** names_set() - what is in /etc/hosts and in /etc/nsswitch.conf from now on. */
void names_set(const char *hosts, const char *nsswitch);

/** names_asked() - how often the DNS server was asked for an IPv4 address. It says 127.0.0.1, whatever the name. */
unsigned int names_asked(void);

#endif
