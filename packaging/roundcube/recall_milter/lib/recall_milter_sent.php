<?php

/**
 * What this session has sent, and what is known of it. It lives in the session: the page after "Send" loads within half
 * a second, and every tab shows the same.
 */
class recall_milter_sent
{
    /** How many messages are followed: the newest. */
    const MOST = 10;

    /** For how many seconds a message is looked for: a server in front of the gateway can take its time. */
    const APPEARS = 60;

    /** For how many seconds the end of a wait is told, so that every tab hears of it. */
    const TOLD = 20;

    /** For how many seconds the gateway is left alone after it gave no answer. */
    const REST = 30;

    /** Notes a message. One that was taken back and is sent again keeps its Message-ID: its old holds don't count. */
    public static function add(string $id, string $folder, int $now)
    {
        $all  = self::all();
        $old  = array_merge($all[$id]['old'] ?? [], $all[$id]['holds'] ?? []);
        $sent = [$id => ['folder' => $folder, 'at' => $now, 'old' => $old, 'holds' => [], 'known' => null]];
        unset($all[$id]);
        self::keep(array_slice($sent + $all, 0, self::MOST));
    }

    /** Returns what was noted of a message; null: this session did not send it. */
    public static function get(string $id)
    {
        return self::all()[$id] ?? null;
    }

    /** Changes what was noted of a message. */
    public static function set(string $id, array $changes)
    {
        $all = self::all();
        if (isset($all[$id])) {
            $all[$id] = $changes + $all[$id];
            self::keep($all);
        }
    }

    /** Forgets a message. */
    public static function forget(string $id)
    {
        $all = self::all();
        unset($all[$id]);
        self::keep($all);
    }

    /**
     * Asks the gateway how the messages are.
     *
     * @throws recall_milter_away
     */
    public static function look(recall_milter_api $api, int $now)
    {
        foreach (self::all() as $id => $entry) {
            $holds = self::holds($api, $id);
            if (!$holds) {
                if ($now - $entry['at'] > self::APPEARS) {
                    self::forget($id);
                }
                continue;
            }
            self::learn($id, $holds, $api->now ?? $now, $now);
        }
    }

    /**
     * Returns the holds of a message, without those of an earlier time that it was sent.
     *
     * @throws recall_milter_away
     */
    public static function holds(recall_milter_api $api, string $id): array
    {
        $old = self::get($id)['old'] ?? [];
        $all = $api->holds(['message_id' => $id, 'state' => 'all', 'limit' => 500]);
        return array_values(array_filter($all, function ($hold) use ($old) {
            return !in_array($hold['id'], $old);
        }));
    }

    /** Notes how a message is, and forgets it some time after its wait has ended. */
    public static function learn(string $id, array $holds, int $gateway, int $now): array
    {
        $message = recall_milter_message::of($holds, $gateway - $now);
        $entry   = self::get($id);
        if ($entry === null) {
            return $message;
        }
        $ended = in_array($message['state'], ['waiting', 'leaving']) ? null : ($entry['ended'] ?? $now);
        if ($ended !== null && $now - $ended > self::TOLD && empty($entry['outcome'])) {
            self::forget($id);
            return $message;
        }
        $changes = ['holds' => array_column($holds, 'id'), 'known' => $message, 'ended' => $ended];
        self::set($id, $changes);
        return $message;
    }

    /** Returns what is known of the messages, for the bar. Times become seconds from now. */
    public static function known(int $now): array
    {
        $messages = [];
        $pending  = false;
        foreach (self::all() as $entry) {
            if ($entry['known'] === null) {
                $pending = true;
                continue;
            }
            $message = $entry['known'];
            if ($message['due'] !== null) {
                $message['left'] = max(0, $message['due'] - $now);
            }
            unset($message['due']);
            $messages[] = $message + ['outcome' => $entry['outcome'] ?? ''];
        }
        return ['messages' => $messages, 'pending' => $pending, 'away' => self::away($now)];
    }

    public static function away(int $now): bool
    {
        return $now < ($_SESSION['recall_milter_away'] ?? 0);
    }

    public static function set_away(int $now)
    {
        $_SESSION['recall_milter_away'] = $now + self::REST;
    }

    private static function all(): array
    {
        return $_SESSION['recall_milter'] ?? [];
    }

    private static function keep(array $all)
    {
        $_SESSION['recall_milter'] = $all;
    }
}
