/* Two peers of "make bench" for the hold path. The first is the least that a durable hold can do: each message is
 * written to a file of its own, which is synced before the end of the message is answered with DISCARD. The second is
 * the least that a hold in Redis can do: each message is one SET, over a connection that is kept, and Redis syncs it
 * before it answers. Nothing is sealed, indexed, or found again. The MTA waits for the same replies as from
 * recall-milter: after recipients, at the end of the headers and at the end of the message. */
#include <libmilter/mfapi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#define NO_REPLY (SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_HDR | SMFIP_NR_BODY)

static const char *folder;
static struct sockaddr_un redis; /* where messages go in place of the folder, if it has a path */
static atomic_ulong last;	 /* number of a message */

/* message is what a session has of its message so far. */
struct message {
	FILE *file;
	char *text; /* of a message for Redis, which is kept in memory until it ends */
	size_t length;
};

/* begin makes an empty message. */
static struct message *begin(void)
{
	struct message *message = calloc(1, sizeof *message);
	char name[4096];

	if (redis.sun_path[0] != '\0') {
		message->file = open_memstream(&message->text, &message->length);
	} else {
		snprintf(name, sizeof name, "%s/%lu", folder, ++last);
		message->file = fopen(name, "w");
	}
	return message;
}

/* drop ends the message of a session, if there is one. */
static sfsistat drop(SMFICTX *ctx)
{
	struct message *message = smfi_getpriv(ctx);

	if (message != NULL) {
		if (message->file != NULL)
			fclose(message->file);
		free(message->text);
		free(message);
	}
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

/* Connections to Redis that nobody uses. */
static int idle[256];
static int idles;
static pthread_mutex_t idle_lock = PTHREAD_MUTEX_INITIALIZER;

static int connection(void)
{
	int fd = -1;

	pthread_mutex_lock(&idle_lock);
	if (idles > 0)
		fd = idle[--idles];
	pthread_mutex_unlock(&idle_lock);
	if (fd >= 0)
		return fd;
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&redis, sizeof redis) == 0)
		return fd;
	close(fd);
	return -1;
}

static void give_back(int fd)
{
	pthread_mutex_lock(&idle_lock);
	if (idles < (int)(sizeof idle / sizeof *idle)) {
		idle[idles++] = fd;
		fd = -1;
	}
	pthread_mutex_unlock(&idle_lock);
	if (fd >= 0)
		close(fd);
}

/* set stores a text under a key of its own, and returns 0 when Redis says that it did. */
static int set(char *text, size_t length)
{
	char head[128], key[32], reply[5];
	int fd = connection();
	size_t told = 0;
	ssize_t done;
	struct iovec parts[] = {{head, 0}, {text, length}, {"\r\n", 2}};
	struct msghdr all = {.msg_iov = parts, .msg_iovlen = 3};

	if (fd < 0)
		return -1;
	snprintf(key, sizeof key, "%lu", ++last);
	parts[0].iov_len = snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(key), key,
				    length);
	while (all.msg_iovlen > 0 && (done = sendmsg(fd, &all, MSG_NOSIGNAL)) >= 0) {
		for (; all.msg_iovlen > 0 && (size_t)done >= all.msg_iov->iov_len; all.msg_iovlen--)
			done -= (all.msg_iov++)->iov_len;
		if (all.msg_iovlen > 0) {
			all.msg_iov->iov_base = (char *)all.msg_iov->iov_base + done;
			all.msg_iov->iov_len -= done;
		}
	}
	while (told < sizeof reply && (done = read(fd, reply + told, sizeof reply - told)) > 0)
		told += done;
	if (told == sizeof reply && memcmp(reply, "+OK\r\n", told) == 0) {
		give_back(fd);
		return 0;
	}
	close(fd);
	return -1;
}

static sfsistat negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long reserved1,
			  unsigned long reserved2, unsigned long *my_actions, unsigned long *my_steps,
			  unsigned long *my_reserved1, unsigned long *my_reserved2)
{
	(void)ctx, (void)actions, (void)reserved1, (void)reserved2;
	if ((steps & NO_REPLY) != NO_REPLY)
		return SMFIS_REJECT;
	*my_actions = 0;
	*my_steps = NO_REPLY | SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NODATA | SMFIP_NOUNKNOWN;
	*my_reserved1 = *my_reserved2 = 0;
	return SMFIS_CONTINUE;
}

/* opened is the file of a session's message; NULL: it has none. */
static FILE *opened(SMFICTX *ctx)
{
	struct message *message = smfi_getpriv(ctx);

	return message == NULL ? NULL : message->file;
}

/* path writes an address with its arguments. */
static sfsistat path(SMFICTX *ctx, char **words)
{
	FILE *file = opened(ctx);

	if (file == NULL)
		return SMFIS_TEMPFAIL;
	for (; *words != NULL; words++)
		fprintf(file, "%s ", *words);
	putc('\n', file);
	return SMFIS_CONTINUE;
}

static sfsistat mail(SMFICTX *ctx, char **words)
{
	drop(ctx);
	smfi_setpriv(ctx, begin());
	path(ctx, words);
	return SMFIS_NOREPLY;
}

static sfsistat header(SMFICTX *ctx, char *name, char *value)
{
	FILE *file = opened(ctx);

	if (file != NULL)
		fprintf(file, "%s: %s\r\n", name, value);
	return SMFIS_NOREPLY;
}

static sfsistat headers(SMFICTX *ctx)
{
	FILE *file = opened(ctx);

	if (file != NULL)
		fputs("\r\n", file);
	return SMFIS_CONTINUE;
}

static sfsistat body(SMFICTX *ctx, unsigned char *piece, size_t length)
{
	FILE *file = opened(ctx);

	if (file != NULL)
		fwrite(piece, 1, length, file);
	return SMFIS_NOREPLY;
}

static sfsistat end(SMFICTX *ctx)
{
	struct message *message = smfi_getpriv(ctx);

	if (message == NULL || message->file == NULL || fflush(message->file) != 0 || ferror(message->file))
		return SMFIS_TEMPFAIL;
	if ((message->text != NULL ? set(message->text, message->length) : fsync(fileno(message->file))) != 0)
		return SMFIS_TEMPFAIL;
	drop(ctx);
	return SMFIS_DISCARD;
}

int main(int argc, char **argv)
{
	struct smfiDesc milter = {
		.xxfi_name = "durable",
		.xxfi_version = SMFI_VERSION,
		.xxfi_negotiate = negotiate,
		.xxfi_envfrom = mail,
		.xxfi_envrcpt = path,
		.xxfi_header = header,
		.xxfi_eoh = headers,
		.xxfi_body = body,
		.xxfi_eom = end,
		.xxfi_abort = drop,
		.xxfi_close = drop,
	};

	if (argc != 3) {
		fprintf(stderr, "usage: durable unix:PATH|inet:PORT@HOST FOLDER|redis:SOCKET\n");
		return EX_USAGE;
	}
	folder = argv[2];
	if (strncmp(folder, "redis:", 6) == 0) {
		redis.sun_family = AF_UNIX;
		snprintf(redis.sun_path, sizeof redis.sun_path, "%s", folder + 6);
	}
	if (smfi_setconn(argv[1]) != MI_SUCCESS || smfi_register(milter) != MI_SUCCESS)
		return EX_SOFTWARE;
	return smfi_main() == MI_SUCCESS ? EX_OK : EX_SOFTWARE;
}
