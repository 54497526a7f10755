// Makes a program that asks DNS by libresolv ask the name server at 127.0.0.1:$NAMESERVER_PORT only.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <resolv.h>
#include <stdlib.h>

int __res_ninit(res_state s)
{
	int (*real)(res_state) = dlsym(RTLD_NEXT, "__res_ninit");
	int r = real(s);
	s->nscount = 1;
	s->nsaddr_list[0].sin_family = AF_INET;
	s->nsaddr_list[0].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->nsaddr_list[0].sin_port = htons(atoi(getenv("NAMESERVER_PORT")));
	return r;
}
