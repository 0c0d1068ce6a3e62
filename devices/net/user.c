/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user network's program. passt gets a socket as descriptor 3 and ends with it, so that it does
 * not outlive Kinglet even if that is killed. When it can carry frames, it writes its process id,
 * to what its standard output is: that tells that it has bound its ports.
 */
#include "user.h"

#include "stream.h"

#include "base/log.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

enum {
	/* passt's own (passt(1), "--mtu"): the largest in multiples of 4 with which frames fit. */
	USER_MTU = 65520,
	START_SECONDS = 10,
	ADDRESS_LEN = INET6_ADDRSTRLEN,
	ARGS_MAX = 16 + 2 * (NET_FORWARDS_MAX + NET_DNS_MAX),
};

static bool is_address(const char *text)
{
	struct in6_addr address;

	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

/* Reads a port that ends with `end`; NULL: it is none. Returns what follows. */
static const char *parse_port(const char *text, char end, unsigned *port)
{
	char *stop;

	if (*text < '0' || *text > '9')
		return NULL;
	*port = (unsigned)strtoul(text, &stop, 10);
	return *stop == end && stop - text <= 5 && *port && *port <= UINT16_MAX ? stop + 1 : NULL;
}

/* Where a port of the host leads to. */
struct forward {
	bool udp;
	char address[ADDRESS_LEN]; /* of the host */
	unsigned from, to;
};

/* "tcp:[ADDRESS/]PORT:PORT"; without an address it is the host's loopback. */
static bool parse_forward(const char *text, struct forward *forward)
{
	const char *slash = strchr(text, '/');
	size_t len;

	*forward = (struct forward){ .udp = *text == 'u', .address = "127.0.0.1" };
	if (strncmp(text, "tcp:", 4) != 0 && strncmp(text, "udp:", 4) != 0)
		return false;
	text += 4;
	len = slash ? (size_t)(slash - text) : 0;
	if (len >= sizeof(forward->address))
		return false;
	if (slash) {
		memcpy(forward->address, text, len);
		forward->address[len] = '\0';
		text = slash + 1;
	}
	text = is_address(forward->address) ? parse_port(text, ':', &forward->from) : NULL;
	return text && parse_port(text, '\0', &forward->to);
}

const char *net_user_finish(const struct net_config *config)
{
	struct forward forward;

	for (unsigned i = 0; i < config->forward_count; i++)
		if (!parse_forward(config->forwards[i], &forward))
			return "has a forward= other than tcp:[ADDRESS/]PORT:PORT or udp:..., the "
			       "ports of host and guest";
	for (unsigned i = 0; i < config->dns_count; i++)
		if (!is_address(config->dns[i]) &&
		    (config->dns_count > 1 || strcmp(config->dns[i], "none") != 0))
			return "has a dns= that is no address; write dns=ADDRESS, or only dns=none";
	return NULL;
}

void net_user_describe(FILE *out, const struct net_config *config)
{
	fputs("user network by passt", out);
	for (unsigned i = 0; i < config->forward_count; i++)
		fprintf(out, ", %s", config->forwards[i]);
	if (!config->loopback)
		fputs(", no way to the host's loopback", out);
	fputs(", ", out);
}

static const char missing[] = "net user: passt: not found (apt install passt)";

int net_user_check(void)
{
	char path[PATH_MAX];
	int ret = child_find("", "passt", path, sizeof(path));

	if (ret)
		log_error("%s", missing);
	return ret;
}

/* Ends with NULL; the strings of forwards are put into `texts`. */
static void make_args(const struct net_config *config, const char *args[ARGS_MAX],
		      char texts[NET_FORWARDS_MAX][ADDRESS_LEN + 16])
{
	static const char *const always[] = {
		"passt", "--foreground", "--quiet", "--fd", "3", "--pid", "/proc/self/fd/1",
	};
	unsigned n = ARRAY_SIZE(always);

	memcpy(args, always, sizeof(always));
	if (!config->loopback)
		args[n++] = "--no-map-gw";
	for (unsigned i = 0; i < config->forward_count; i++) {
		struct forward f;

		if (!parse_forward(config->forwards[i], &f))
			continue;
		snprintf(texts[i], sizeof(texts[i]), "%s/%u:%u", f.address, f.from, f.to);
		args[n++] = f.udp ? "--udp-ports" : "--tcp-ports";
		args[n++] = texts[i];
	}
	for (unsigned i = 0; i < config->dns_count; i++) {
		args[n++] = "--dns";
		args[n++] = config->dns[i];
	}
	args[n] = NULL;
}

static void log_not_started(int error, const char *why)
{
	if (error == -EIO)
		log_error("net user: passt: %s", why);
	else if (error == -ENOENT)
		log_error("%s", missing);
	else if (error == -ETIMEDOUT)
		log_error("net user: passt: not ready after %u seconds", START_SECONDS);
	else
		log_error("net user: starting passt: %s", strerror(-error));
}

/* Starts passt; *fd is the socket to it. Logs. */
static int start_passt(struct child *child, const struct net_config *config, int *fd)
{
	char texts[NET_FORWARDS_MAX][ADDRESS_LEN + 16], why[240] = "";
	const char *args[ARGS_MAX];
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		ret = -errno;
	else {
		make_args(config, args, texts);
		ret = child_start(child, args, pair[1], START_SECONDS, why, sizeof(why));
		close(pair[1]);
		*fd = pair[0];
	}
	if (ret)
		log_not_started(ret, why);
	return ret;
}

int net_user_create(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		    const struct net_config *config)
{
	struct tap tap = { .sys = env->sys, .fd = -1, .mtu = USER_MTU };
	const struct virtio_net_options options = {
		.taps = &tap,
		.pairs = 1,
		.mac = config->mac_set ? config->mac : NULL,
		.features = UINT64_MAX,
		.stream = true,
	};
	struct child child = { 0 };
	struct virtio_dev *dev;
	int ret;

	snprintf(tap.name, sizeof(tap.name), "user%u", instance);
	/* Any failure is a host error, even if its errno is ENOENT. */
	if (start_passt(&child, config, &tap.fd))
		goto err_close;
	if (virtio_net_new(&dev, env, instance, &options))
		goto err_stop;
	ret = net_stream_watch(net_of(dev)->pairs[0].stream, &child);
	if (ret) {
		log_error("%s: passt: %s", dev->name, strerror(-ret));
		dev->model->destroy(dev);
		return -EIO;
	}
	*out = dev;
	return 0;

err_stop:
	child_stop(&child);
err_close:
	tap_close(&tap);
	return -EIO;
}
